#include "engine/cli/spin_count.h"

#include <unistd.h>  // environ

#include <cstdlib>
#include <string_view>

// libgomp's default, 300 000 turns, is longer than the program's loops, so that on a machine with other work to do the
// waiting thread holds the CPU that the late one needs: 45 to 66 ms per iteration instead of 30 to 34 (small network,
// 256x256, two threads beside two busy programs). On an idle machine the two are equal; without any spinning it takes
// 31 ms instead of 13.
//
// libgomp reads the environment when it is loaded, before any code of ours but one kind: the loader calls what
// .preinit_array of a program holds before it initialises libraries (System V ABI, chapter 5, "Initialization and
// Termination Functions"). setenv() has no effect yet, since libc then takes the array of strings that the kernel gave
// it. So the variable takes the place of another one in that array, until main() begins.
namespace hourglass::cli {
namespace {

constinit char setting[] = "GOMP_SPINCOUNT=10000";
char** place = nullptr;
char* displaced = nullptr;

// Libraries and sanitizers may want these early.
bool may_be_displaced(std::string_view variable) {
  for (const std::string_view prefix : {"OMP_", "GOMP_", "KMP_", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "ONEDNN_",
                                        "DNNL_", "ASAN_", "UBSAN_", "LSAN_", "TSAN_", "LLVM_"}) {
    if (variable.starts_with(prefix)) return false;
  }
  return true;
}

void set_spin_count(int /*argc*/, char** /*argv*/, char** environment) {
  for (char** variable = environment; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (text.starts_with("GOMP_SPINCOUNT=") || text.starts_with("OMP_WAIT_POLICY=")) return;  // the user knows better
    if (place == nullptr && may_be_displaced(text)) place = variable;
  }
  if (place == nullptr) return;  // it is only slower
  displaced = *place;
  *place = setting;
}

__attribute__((section(".preinit_array"), used)) void (*const before_libraries)(int, char**, char**) = set_spin_count;

}  // namespace

void restore_environment() {
  if (displaced == nullptr) return;
  // A library may have copied the array meanwhile.
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (*variable == setting) *variable = displaced;
  }
  constexpr std::string_view kName = "GOMP_SPINCOUNT";
  setenv(kName.data(), setting + kName.size() + 1, 1);  // for whoever asks how threads wait
}

}  // namespace hourglass::cli
