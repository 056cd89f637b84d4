#include "engine/cli/method_options.h"

#include <fmt/core.h>

#include "engine/cli/method.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

constexpr const char* kBestLessons = "3200";

}  // namespace

void add_method_options(Command& command, MethodArguments& arguments, const std::string& help) {
  command.add({{.names = "--method",
                .target = &arguments.method,
                .help = help,
                .checks = {one_of({kLearn, kFilter, kFit})},
                .common = true},
               {.names = "--fast", .target = &arguments.fast, .help = "Short for --method filter", .common = true},
               {.names = "--best",
                .target = &arguments.best,
                .help = fmt::format("Short for --method learn --lessons {}", kBestLessons),
                .common = true}});
}

void add_learn_options(Command& command, LearnArguments& arguments) {
  command.add({{.names = "--lessons",
                .target = &arguments.lessons,
                .help = "How many iterations the network learns; 0: not at all",
                .checks = {range(0, 1000000)},
                .methods = {kLearn}},
               {.names = "--start",
                .takes = arguments.start + "|FILE",
                .target = &arguments.start,
                .help = fmt::format("The network and the weights to start from: {} (which has learned from drawn "
                                    "shapes alone), or an ONNX file, of the same inputs ('hourglass learn' makes "
                                    "them) or from an image to an image of the same size",
                                    arguments.start),
                .methods = {kLearn}}});
}

void expand_flags(const MethodArguments& arguments, ParsedCommand& line) {
  if (arguments.fast && arguments.best) fail("--fast and --best: leave out one of the two");
  expand_flag(line, "fast", {{"method", kFilter}});
  expand_flag(line, "best", {{"method", kLearn}, {"lessons", kBestLessons}});
}

}  // namespace hourglass::cli
