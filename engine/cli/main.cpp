// The `hourglass` program. Its work is in call.cpp and the layers below.
#include "engine/cli/call.h"
#include "engine/cli/output.h"
#include "engine/cli/spin_count.h"

int main(int argc, char** argv) {
  using namespace hourglass::cli;
  restore_environment();
  fill_standard_streams();
  return static_cast<int>(call(argc, argv));
}
