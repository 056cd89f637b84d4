#include "engine/cli/version.h"

#include <dnnl.h>
#include <fmt/format.h>

#include "engine/image/jpeg.h"
#include "engine/image/png.h"

namespace hourglass::cli {

std::string version_text() {
  const dnnl_version_t& dnnl = *dnnl_version();  // of the library that runs, not of the header
  return fmt::format(
      "hourglass {}\n"
      "oneDNN {}.{}.{}\n"
      "ONNX {}\n"
      "libjpeg-turbo {}\n"
      "libpng {}",
      HOURGLASS_VERSION, dnnl.major, dnnl.minor, dnnl.patch, HOURGLASS_ONNX_VERSION, libjpeg_version(),
      libpng_version());
}

}  // namespace hourglass::cli
