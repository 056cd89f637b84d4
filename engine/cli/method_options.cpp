#include "engine/cli/method_options.h"

#include <fmt/core.h>

#include "engine/cli/method.h"
#include "engine/cli/network_option.h"
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

void add_learn_options(Command& command, MethodArguments& arguments) {
  command.add({{.names = "--lessons",
                .target = &arguments.learn.lessons,
                .help = "How many iterations the network learns; 0: not at all",
                .checks = {range(0, 1000000)},
                .methods = {kLearn}}});
  for (const char* name : {"model", "model-output", "weights"}) command.option(name).methods = {kFit, kLearn};
  command.option("model").help = fmt::format(
      "The network: one that comes with the program ('hourglass help networks'), or an ONNX file. Without --method a "
      "file with weights, from an image to an image of the same size, learns; any other network is fitted, from noise "
      "(default: {} to learn, {} to fit)",
      arguments.usual_to_learn, arguments.usual_to_fit);
  command.option("weights").help =
      "What the network starts from: file (the ONNX file's, where it has any), or draw (by --seed)";
}

void expand_flags(const MethodArguments& arguments, ParsedCommand& line) {
  if (arguments.fast && arguments.best) fail("--fast and --best: leave out one of the two");
  expand_flag(line, "fast", {{"method", kFilter}});
  expand_flag(line, "best", {{"method", kLearn}, {"lessons", kBestLessons}});
}

void choose_method_and_model(const MethodArguments& arguments, ParsedCommand& line, std::string usual) {
  const ParsedOption& model = *line.find("model");
  if (usual == kLearn && model.given && !line.given("method") &&
      !is_map(model.value, line.find("model-output")->value)) {
    usual = kFit;
  }
  choose_method(line, usual);
  const ParsedOption* chosen = line.find("model");
  if (chosen == nullptr || !chosen->value.empty()) return;
  line.set("model", arguments.method == kLearn ? arguments.usual_to_learn : arguments.usual_to_fit);
}

}  // namespace hourglass::cli
