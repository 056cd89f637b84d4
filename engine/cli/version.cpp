#include "engine/cli/version.h"

#include <dnnl.h>
#include <fmt/format.h>

#include <string_view>

#include "engine/cli/commit.h"  // generated
#include "engine/image/jpeg.h"
#include "engine/image/png.h"

namespace hourglass::cli {

std::string version_text() {
  const dnnl_version_t& dnnl = *dnnl_version();  // of the library that runs, not of the header
  constexpr std::string_view kCommit = HOURGLASS_COMMIT;
  return fmt::format(
      "hourglass {}{}\n"
      "oneDNN {}.{}.{}\n"
      "ONNX {}\n"
      "libjpeg-turbo {}\n"
      "libpng {}",
      release_version(), kCommit.empty() ? "" : fmt::format(" ({})", kCommit), dnnl.major, dnnl.minor, dnnl.patch,
      HOURGLASS_ONNX_VERSION, libjpeg_version(), libpng_version());
}

const char* release_version() { return HOURGLASS_VERSION; }
const char* release_date() { return HOURGLASS_DATE; }

}  // namespace hourglass::cli
