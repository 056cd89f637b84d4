#include "engine/cli/earlier_result.h"

#include <fmt/core.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "engine/cli/checkpoint_file.h"
#include "engine/cli/fit_request.h"
#include "engine/cli/network_option.h"
#include "engine/cli/run_request.h"
#include "engine/image/digest.h"
#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "engine/runtime/precision.h"
#include "graph/error.h"

namespace hourglass::cli {

namespace fs = std::filesystem;

EarlierResult EarlierResults::of(const InputFile& file) const {
  std::error_code error;
  const fs::file_status status = fs::status(file.output, error);
  if (error && status.type() != fs::file_type::not_found) {
    fail("{}: {}: {}", file.path, file.output, error.message());
  }
  if (!fs::exists(status)) return EarlierResult::absent;
  try {
    const auto record = find_text(read_beginning(file.output, kMetadataWithin), kRecordKeyword);
    if (!record) return EarlierResult::other;
    const ParsedCommand line = settled(file);
    const std::string sha256 = sha256_hex(read_file(file.path));
    if (is_record_of(*record, line, in_force(line), sha256)) return EarlierResult::alike;
    return is_unfinished_record(*record, sha256) ? EarlierResult::unfinished : EarlierResult::other;
  } catch (const Error&) {
    return EarlierResult::other;  // and what is wrong with it is told when it is replaced
  }
}

bool EarlierResults::has_begun(const std::string& checkpoint, const InputFile& file) const {
  try {
    const Archive archive = read_checkpoint(checkpoint);
    const ParsedCommand line = settled(file);
    return Settings(line, in_force(line)).agrees(Settings::parse(archive.text("settings")), line.given("threads")) &&
           archive.text("input_sha256") == sha256_hex(read_file(file.path));
  } catch (const Error&) {
    return false;
  }
}

ParsedCommand EarlierResults::settled(const InputFile& file) const {
  return settled_ && file.format ? settled_(*file.format) : line_;
}

NamedValues EarlierResults::in_force(const ParsedCommand& line) const {
  NamedValues values{{"threads", fmt::format("{}", fit_.threads)}};
  if (line.find("precision") != nullptr) {
    values.emplace_back("precision", std::string(name_of(choose_precision(fit_.precision))));
  }
  if (line.find("learning-rate") != nullptr) {
    const std::optional<double> rate = set_rate(fit_.learning_rate, line.find("model")->value);
    if (rate) values.emplace_back("learning-rate", fmt::format("{}", *rate));
  }
  return values;
}

}  // namespace hourglass::cli
