// Internal to engine/image: libpng's errors as exceptions, in the manner of jpeg_session.h. The body given to guarded()
// must hold no object with a destructor while it calls libpng.
#pragma once

#include <csetjmp>

#include <png.h>

#include <string>
#include <vector>

namespace hourglass::detail {

struct PngErrors {
  std::jmp_buf jump{};
  char text[256] = {};                // of the fatal error
  std::vector<std::string> warnings;  // the others
};

[[noreturn]] void on_png_error(png_structp png, png_const_charp text);
void on_png_warning(png_structp png, png_const_charp text);

// Many cameras and programs embed sRGB profiles that libpng knows to be slightly wrong: not worth a warning.
inline void accept_known_profiles(png_structp png) {
#ifdef PNG_SKIP_sRGB_CHECK_PROFILE
  png_set_option(png, PNG_SKIP_sRGB_CHECK_PROFILE, PNG_OPTION_ON);
#else
  static_cast<void>(png);
#endif
}

// Runs body(). False when libpng gave up: errors.text says why.
template <typename Body>
[[gnu::noinline]] bool guarded(PngErrors& errors, const Body& body) {
  if (setjmp(errors.jump) != 0) return false;
  body();
  return true;
}

}  // namespace hourglass::detail
