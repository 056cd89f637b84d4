#include "engine/cli/commands.h"

#include <fmt/core.h>

#include "engine/cli/help_topics.h"

namespace hourglass::cli {
namespace {

std::string topic_list() {
  std::string text = "Topics:\n";
  for (const Topic& topic : topics()) text += fmt::format("  {}  {}\n", topic.name, topic.title);
  return text;
}

}  // namespace

Command program() {
  return {.name = "hourglass",
          .help = "Takes the artifacts out of JPEGs by what each photograph itself holds, on the CPU",
          .footer = topic_list() +
                    R"(
Examples:
  hourglass restore photo.jpg                               writes photo.restored.png beside it
  hourglass denoise noisy.png -o clean.png                  so do inpaint and upscale
  hourglass degrade photo.png -o photo.jpg --quality 10     make a bad JPEG of a good image
  hourglass compare photo.png photo.jpg                     how far is it from the original?

'hourglass COMMAND --help' explains a command, 'hourglass help TOPIC' a topic. Inputs are JPEG, PNG or JPEG XL, told apart by their content; '-' stands for
standard input or output. Exit codes: 0 done, 1 an error, 2 a wrong command line,
3 some of several files failed, 4 slower (bench compare), 5 no (verify), 129 hung up, 130 interrupted, 143 terminated.)",
          .commands = {restore_command(), denoise_command(), inpaint_command(), upscale_command(), verify_command(),
                       compare_command(), report_command(), degrade_command(), experiment_command(), learn_command(),
                       model_command(), bench_command(), help_command()}};
}

}  // namespace hourglass::cli
