#include "engine/cli/fit_options.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "engine/cli/checkpoint_file.h"
#include "engine/cli/network_option.h"
#include "engine/cli/settings.h"
#include "engine/runtime/cpus.h"
#include "graph/error.h"

namespace hourglass::cli {

namespace {

CLI::Validator number_that(bool (*is)(double), const std::string& expected, const std::string& type) {
  return {[is, expected](const std::string& text) -> std::string {
            double value = 0;
            if (CLI::detail::lexical_cast(text, value) && std::isfinite(value) && is(value)) return {};
            return "expected " + expected + ", got " + text;
          },
          type};
}

}  // namespace

CLI::Validator finite() {
  return number_that([](double) { return true; }, "a finite number", "");
}

CLI::Validator positive() {
  return number_that([](double value) { return value > 0; }, "a number above 0", "POSITIVE");
}

CLI::Validator non_negative() {
  return number_that([](double value) { return value >= 0; }, "0 or a number above it", "NONNEGATIVE");
}

CLI::Validator whole_number() {
  return {[](const std::string& text) -> std::string {
            uint64_t value = 0;
            const char* end = text.data() + text.size();
            const auto [rest, error] = std::from_chars(text.data(), end, value);
            if (error == std::errc() && rest == end) return {};
            return fmt::format("expected a whole number from 0 to {}, got {}", std::numeric_limits<uint64_t>::max(),
                               text);
          },
          ""};
}

CLI::Validator memory_size() {
  return {[](std::string& text) -> std::string {
            const std::string refusal = "expected a size as 800M, 1.5G or a number of bytes, got " + text;
            double number = 0;
            const char* end = text.data() + text.size();
            const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
            if (error != std::errc() || !std::isfinite(number) || number < 0) return refusal;
            std::string unit = CLI::detail::to_lower(std::string(rest, end));
            std::erase(unit, ' ');
            // M, MB and MiB are one here.
            if (unit.ends_with("b")) unit.pop_back();
            if (unit.size() == 2 && unit[1] == 'i') unit.pop_back();
            const std::size_t power = unit.empty() ? 0 : std::string_view("kmgtpe").find(unit) + 1;
            const double bytes = number * std::pow(1024.0, static_cast<double>(power));
            constexpr double kTooMany = 0x1p63;
            if (unit.size() > 1 || (!unit.empty() && power == 0) || !(bytes < kTooMany)) return refusal;
            text = fmt::format("{}", static_cast<uint64_t>(bytes));
            return {};
          },
          "SIZE"};
}

namespace {

// A comma in what is chosen from would make CLI11's list of it hard to read.
std::string check_optimize(const std::string& text) {
  if (text == "net" || text == "input" || text == "net,input" || text == "input,net") return {};
  return "expected one of: net / input / net,input; got " + text;
}

void add_file_options(CLI::App& command, FitArguments& a) {
  const auto add = [&](CLI::Option* option) { option->group(kFilesGroup); };
  add(command.add_option("--reference", a.reference, "The original, if known: its PSNR is shown on the way"));
  add(command.add_option("--history", a.history, "CSV of every iteration"));
  add(command.add_option("--report", a.report, "A page that shows the run, as it goes on and at its end (HTML)"));
  add(command.add_option("--profile", a.profile,
                         "Where an iteration's time goes: a trace of it for chrome://tracing and ui.perfetto.dev "
                         "(JSON), and a table by op on stderr"));
  add(command.add_option("--checkpoint", a.checkpoint,
                         "Where to put the run away while it goes on (default: OUTPUT.ckpt, for runs of more than two "
                         "minutes); removed when it ends well"));
  add(command.add_option("--checkpoint-every", a.checkpoint_every, "Seconds from one checkpoint to the next")
          ->check(non_negative())
          ->capture_default_str());
  add(command.add_option("--resume", a.resume, "Goes on from a checkpoint, with its settings"));
  add(command.add_flag("--force", a.force, "Overwrite files that exist"));
  add(command.add_flag("-q,--quiet", a.quiet, "Only errors"));
  add(command.add_flag("-v,--verbose", a.verbose,
                       "Say what the plan runs: per step the implementation and the layout, and the reorders"));
  add(command.add_flag("--json", a.json,
                       "JSON objects on stdout, one per line: the progress once a second, at last the result"));
}

// Reads what --resume names, and the settings from it.
void take_up(CLI::App& command, FitArguments& a) {
  if (a.resume.empty()) return;
  try {
    a.resumed = read_checkpoint(a.resume);
    Settings::parse(a.resumed->text("settings")).apply_to(command);
  } catch (const Error& error) {
    // Reading names the file by itself.
    if (std::string_view(error.what()).starts_with(a.resume)) throw;
    throw error.within(a.resume);
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> values_in_force(const FitArguments& arguments) {
  const FitOptions& fit = arguments.options.fit;
  std::vector<std::pair<std::string, std::string>> values{
      {"model", arguments.model},
      {"iterations", fmt::format("{}", arguments.options.iterations)},
      {"input-noise", fmt::format("{}", fit.input_noise)},
      {"threads", fmt::format("{}", fit.threads > 0 ? fit.threads : available_cpus())},
      {"precision", std::string(name_of(fit.precision))}};
  if (arguments.options.runs > 1) values.emplace_back("at-once", fmt::format("{}", arguments.options.at_once));
  return values;
}

void add_fit_options(CLI::App& command, FitArguments& a, const FitHelp& help) {
  command.add_option("INPUT", a.input, help.input)->required();
  command.add_option("-o,--output", a.output, "The PNG to write (default: INPUT with " + help.suffix + ")")
      ->group(kFilesGroup);
  command.add_option("--model", a.model, "A built-in network ('hourglass model list' names them), or an ONNX file")
      ->capture_default_str();
  command.add_option("--iterations", a.options.iterations, "How long to fit")
      ->check(CLI::Range(int64_t{1}, int64_t{10000000}))
      ->capture_default_str();
  command.add_option("--runs", a.options.runs, "Fits with different seeds whose results are averaged")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      .add_option("--at-once", a.at_once,
                  "How many of the runs go on side by side, each with its share of the threads and the memory "
                  "(default: as many as a short timing finds fastest)")
      ->check(CLI::Range(1, 1000));
  command.add_option("--schedule", a.schedule, "Of the learning rate: constant, or cosine to zero")
      ->check(CLI::IsMember({"constant", "cosine"}))
      ->capture_default_str();
  command.add_option("--learning-rate", a.options.fit.adam.learning_rate, "Adam's step")
      ->check(positive())
      ->capture_default_str();
  command
      .add_option("--input-noise", a.input_noise,
                  "Standard deviation of each iteration's noise on the input; default: " + help.input_noise_default)
      ->check(non_negative());
  command
      .add_option("--input", a.network_input,
                  "What the network makes its image of: noise, or meshgrid (each pixel's x and y)")
      ->check(CLI::IsMember({"noise", "meshgrid"}))
      ->capture_default_str();
  command.add_option("--distribution", a.distribution, "Of that noise: uniform in [0, 0.1), or normal with sigma 0.1")
      ->check(CLI::IsMember({"uniform", "normal"}))
      ->capture_default_str();
  command.add_option("--optimize", a.optimize, "What is fitted: net (the weights), input, or net,input")
      ->check(CLI::Validator(check_optimize, ""))
      ->capture_default_str();
  command.add_option("--bit-depth", a.bit_depth, "Of the PNG: 8 or 16 (default: as the input)")
      ->check(CLI::IsMember({8, 16}));
  command.add_option("--seed", a.options.fit.seed, "Of all random numbers; the same seed gives the same result")
      ->check(whole_number())
      ->capture_default_str();
  command.add_option("--threads", a.options.fit.threads, "0: all CPUs this process may use")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command.add_option("--precision", a.precision, "auto (bf16 where the CPU has it), f32 or bf16")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->capture_default_str();
  command
      .add_option(
          "--memory-limit", a.options.fit.memory_limit,
          "What the fit may hold, as 4G or 800M (a number alone: bytes); one that needs more is refused "
          "(default: no limit). The program holds some 40 MiB and 130 bytes for each of the image's pixels besides")
      ->transform(memory_size());
  add_stop_options(command, a.stop);
  add_file_options(command, a);
  a.command = &command;
  command.parse_complete_callback([&command, &a] { take_up(command, a); });
}

}  // namespace hourglass::cli
