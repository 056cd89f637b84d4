#include "engine/cli/prose.h"

#include <algorithm>
#include <sstream>

namespace hourglass::cli {
namespace {

constexpr std::size_t kIndent = 2;  // of entries
constexpr std::size_t kGap = 2;     // between the columns

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(' ') - first + 1));
}

void append_words(std::string& text, std::string_view more) {
  if (!text.empty() && !more.empty()) text += ' ';
  text += more;
}

Entry entry_of(std::string_view line) {
  const std::size_t gap = line.find("  ");
  if (gap == std::string_view::npos) return {.term = std::string(line), .text = {}};
  return {.term = std::string(line.substr(0, gap)), .text = trimmed(line.substr(gap))};
}

bool is_command(std::string_view text) { return text.starts_with("hourglass "); }

// How many bytes of the word make a first part of at most `width` columns.
std::size_t first_part(std::string_view word, std::size_t width) {
  std::size_t bytes = 0, behind_mark = 0;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool begins_character = (static_cast<unsigned char>(word[i]) & 0xC0) != 0x80;
    if (begins_character && columns_of(word.substr(0, i)) == width) break;
    bytes = i + 1;
    if (std::string_view("|,/=").find(word[i]) != std::string_view::npos) behind_mark = bytes;
  }
  return behind_mark > 0 ? behind_mark : bytes;
}

std::vector<std::string> words_of(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// As a shell tells them apart: what is quoted is of one word, and stays as it is.
std::vector<std::string> shell_words_of(std::string_view command) {
  std::vector<std::string> words(1);
  char quote = 0;
  for (std::size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    if (quote == 0 && c == ' ') {
      if (!words.back().empty()) words.emplace_back();
      continue;
    }
    words.back() += c;
    if (quote == 0 && c == '\\' && i + 1 < command.size()) {
      words.back() += command[++i];
    } else if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

// Words, an option with what follows it.
std::vector<std::string> arguments_of(std::string_view command) {
  std::vector<std::string> arguments;
  bool after_option = false;
  for (const std::string& word : shell_words_of(command)) {
    const bool is_option = word.starts_with('-') && word.size() > 1;
    if (after_option && !is_option) {
      arguments.back() += " " + word;
    } else {
      arguments.push_back(word);
    }
    after_option = is_option;
  }
  return arguments;
}

std::string lines_text(const std::vector<std::string>& lines, std::size_t indent) {
  std::string text;
  for (const std::string& line : lines) text += std::string(indent, ' ') + line + "\n";
  return text;
}

std::vector<std::string> term_lines(const std::string& term, std::size_t width) {
  return is_command(term) ? wrapped_command(term, width) : wrapped(term, width);
}

}  // namespace

std::string Block::title() const {
  const bool one_word = paragraph.ends_with(':') && paragraph.find(' ') == std::string::npos;
  return one_word ? paragraph.substr(0, paragraph.size() - 1) : std::string();
}

std::vector<Block> parse_prose(std::string_view text) {
  std::vector<Block> blocks;
  std::istringstream lines{std::string(text)};
  bool apart = true;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t indent = line.find_first_not_of(' ');
    if (indent == std::string::npos) {
      apart = true;
      continue;
    }
    const bool is_entry = indent >= kIndent;
    const bool goes_on = !apart && !blocks.empty() && blocks.back().entries.empty() != is_entry;
    if (!goes_on) blocks.push_back({.paragraph = {}, .follows_closely = !apart});
    Block& block = blocks.back();
    if (!is_entry) {
      append_words(block.paragraph, trimmed(line));
    } else if (indent == kIndent || block.entries.empty()) {
      block.entries.push_back(entry_of(std::string_view(line).substr(indent)));
    } else {
      append_words(block.entries.back().text, trimmed(line));
    }
    apart = false;
  }
  return blocks;
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  std::string line;
  const auto end_line = [&] {
    if (!line.empty()) lines.push_back(line);
    line.clear();
  };
  for (std::string word : words_of(text)) {
    if (!line.empty() && columns_of(line) + 1 + columns_of(word) > width) end_line();
    while (columns_of(word) > width) {
      const std::size_t part = first_part(word, width);
      lines.push_back(word.substr(0, part));
      word.erase(0, part);
    }
    append_words(line, word);
  }
  end_line();
  return lines;
}

std::string wrapped_lines(std::string_view text, std::size_t width) {
  std::string all;
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) {
    if (line.empty() || line.starts_with(' ')) {
      all += line + "\n";
    } else {
      for (const std::string& piece : wrapped(line, width)) all += piece + "\n";
    }
  }
  return all;
}

std::vector<std::string> wrapped_command(std::string_view command, std::size_t width) {
  if (columns_of(command) <= width) return {std::string(command)};
  constexpr std::size_t kContinuation = 4, kBackslash = 2;
  std::vector<std::string> lines;
  std::string line;
  for (const std::string& word : arguments_of(command)) {
    if (!line.empty() && columns_of(line) + 1 + columns_of(word) + kBackslash > width) {
      lines.push_back(line + " \\");
      line = std::string(kContinuation, ' ') + word;
    } else {
      append_words(line, word);
    }
  }
  lines.push_back(line);
  return lines;
}

std::string entries_text(std::span<const Entry> entries, std::size_t width) {
  // Commands are what one reads first: they get half of the width.
  const bool commands = !entries.empty() && is_command(entries.front().term);
  const std::size_t limit = commands ? width / 2 : std::max<std::size_t>(width * 35 / 100, 12);
  std::size_t column = 0;
  for (const Entry& entry : entries) {
    const std::size_t columns = columns_of(entry.term);
    if (columns <= limit && !entry.text.empty()) column = std::max(column, columns);
  }
  if (column == 0) column = 2 * kIndent;  // all are below their terms
  const std::size_t start = kIndent + column + kGap;
  std::string text;
  for (const Entry& entry : entries) {
    const std::vector<std::string> terms = term_lines(entry.term, width - kIndent);
    std::vector<std::string> lines = wrapped(entry.text, width - start);
    if (columns_of(entry.term) <= column && !lines.empty()) {
      const std::string padding(column - columns_of(entry.term) + kGap, ' ');
      text += std::string(kIndent, ' ') + entry.term + padding + lines.front() + "\n";
      lines.erase(lines.begin());
    } else {
      text += lines_text(terms, kIndent);
    }
    text += lines_text(lines, start);
  }
  return text;
}

std::string prose_text(std::string_view source, std::size_t width) {
  std::string text;
  for (const Block& block : parse_prose(source)) {
    if (!text.empty() && !block.follows_closely) text += "\n";
    text += block.entries.empty() ? lines_text(wrapped(block.paragraph, width), 0) : entries_text(block.entries, width);
  }
  return text;
}

}  // namespace hourglass::cli
