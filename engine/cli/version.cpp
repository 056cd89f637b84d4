#include "engine/cli/version.h"

#include <dnnl.h>
#include <fmt/core.h>
#include <zlib.h>

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include <string_view>

#include "engine/cli/commit.h"  // generated
#include "engine/cli/json.h"
#include "engine/image/jpeg.h"
#include "engine/image/jxl.h"
#include "engine/image/png.h"

namespace hourglass::cli {
namespace {

constexpr std::string_view kCommit = HOURGLASS_COMMIT;
constexpr const char* kLicence = "Apache-2.0";

std::string onednn_version() {
  const dnnl_version_t& dnnl = *dnnl_version();  // of the library that runs, not of the header
  return fmt::format("{}.{}.{}", dnnl.major, dnnl.minor, dnnl.patch);
}

// Of the bill of materials. An expression of several licences is written otherwise than a licence.
Json component(const char* type, const Library& one) {
  Json licence;
  if (one.licence.find(' ') == std::string::npos) {
    licence["license"]["id"] = one.licence;
  } else {
    licence["expression"] = one.licence;
  }
  Json json{{"type", type}, {"bom-ref", one.name}, {"name", one.name}, {"version", one.version}};
  json["licenses"].push_back(licence);
  if (!one.home.empty()) json["externalReferences"].push_back(Json{{"type", "website"}, {"url", one.home}});
  return json;
}

}  // namespace

std::vector<Library> libraries() {
  std::vector<Library> all{
      {"oneDNN", onednn_version(), "Apache-2.0", "https://github.com/oneapi-src/oneDNN"},
      {"ONNX", HOURGLASS_ONNX_VERSION, "Apache-2.0", "https://onnx.ai"},
      {"Protocol Buffers", HOURGLASS_PROTOBUF_VERSION, "BSD-3-Clause", "https://protobuf.dev"},
      {"libjpeg-turbo", libjpeg_version(), "IJG AND BSD-3-Clause AND Zlib", "https://libjpeg-turbo.org"},
      {"libpng", libpng_version(), "libpng-2.0", "http://www.libpng.org/pub/png/libpng.html"},
      {"libjxl", libjxl_version(), "BSD-3-Clause", "https://github.com/libjxl/libjxl"},
      {"zlib", zlibVersion(), "Zlib", "https://zlib.net"},
      {"libmd", HOURGLASS_LIBMD_VERSION, "BSD-2-Clause AND BSD-3-Clause AND ISC AND Beerware",
       "https://www.hadrons.org/software/libmd"},
      {"cairo", HOURGLASS_CAIRO_VERSION, "LGPL-2.1-only OR MPL-1.1", "https://www.cairographics.org"},
      {"fontconfig", HOURGLASS_FONTCONFIG_VERSION, "HPND AND Unicode-DFS-2016", "https://fontconfig.org"},
      {"fmt", HOURGLASS_FMT_VERSION, "MIT", "https://fmt.dev"},
      {"CLI11", HOURGLASS_CLI11_VERSION, "BSD-3-Clause", "https://github.com/CLIUtils/CLI11"},
      {"JSON for Modern C++", HOURGLASS_JSON_VERSION, "MIT", "https://json.nlohmann.me"},
      {"Eigen", HOURGLASS_EIGEN_VERSION, "MPL-2.0", "https://eigen.tuxfamily.org"}};
#ifdef HOURGLASS_HWLOC_VERSION
  all.push_back({"hwloc", HOURGLASS_HWLOC_VERSION, "BSD-3-Clause", "https://www.open-mpi.org/projects/hwloc"});
#endif
#ifdef __clang__
  all.push_back({"LLVM OpenMP", __clang_version__, "Apache-2.0 WITH LLVM-exception", "https://openmp.llvm.org"});
#else
  all.push_back({"libgomp", __VERSION__, "GPL-3.0-or-later WITH GCC-exception-3.1", "https://gcc.gnu.org"});
#endif
#ifdef __GLIBCXX__
  all.push_back({"libstdc++", fmt::format("{}", _GLIBCXX_RELEASE), "GPL-3.0-or-later WITH GCC-exception-3.1",
                 "https://gcc.gnu.org"});
#endif
#ifdef __GLIBC__
  all.push_back({"glibc", gnu_get_libc_version(), "LGPL-2.1-or-later", "https://www.gnu.org/software/libc"});
#endif
  return all;
}

std::string version_text() {
  return fmt::format(
      "hourglass {}{}\n"
      "oneDNN {}\n"
      "ONNX {}\n"
      "libjpeg-turbo {}\n"
      "libpng {}\n"
      "libjxl {}",
      release_version(), kCommit.empty() ? "" : fmt::format(" ({})", kCommit), onednn_version(), HOURGLASS_ONNX_VERSION,
      libjpeg_version(), libpng_version(), libjxl_version());
}

std::string version_json() {
  Json json{{"name", "hourglass"},
            {"version", release_version()},
            {"commit", kCommit},
            {"licence", kLicence},
            {"libraries", Json::array()}};
  for (const Library& one : libraries()) {
    json["libraries"].push_back(
        Json{{"name", one.name}, {"version", one.version}, {"licence", one.licence}, {"home", one.home}});
  }
  return json.text();
}

std::string bill_of_materials() {
  const Json self = component("application", {"hourglass", release_version(), kLicence, ""});
  Json bom{{"bomFormat", "CycloneDX"},    {"specVersion", "1.5"},
           {"version", int64_t{1}},       {"metadata", Json{{"component", self}}},
           {"components", Json::array()}, {"dependencies", Json::array()}};
  std::vector<std::string> names;
  for (const Library& one : libraries()) {
    bom["components"].push_back(component("library", one));
    names.push_back(one.name);
  }
  bom["dependencies"].push_back(Json{{"ref", "hourglass"}, {"dependsOn", names}});
  return bom.text() + "\n";
}

const char* release_version() { return HOURGLASS_VERSION; }
const char* release_date() { return HOURGLASS_DATE; }

}  // namespace hourglass::cli
