#include "engine/cli/prose.h"

#include <algorithm>
#include <iterator>
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

// The bytes of the character that begins there, and the columns that it takes.
struct Character {
  std::size_t bytes;
  std::size_t columns;
};

Character character_at(std::string_view text, std::size_t at) {
  constexpr unsigned kMarks[][2] = {{0x300, 0x36F}, {0x200B, 0x200F}, {0xFE00, 0xFE0F}};  // on the character before
  // East Asian scripts and emoji (Unicode's East_Asian_Width W and F, in coarse ranges).
  constexpr unsigned kWide[][2] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},   {0xAC00, 0xD7A3},
                                   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF01, 0xFF60},   {0xFFE0, 0xFFE6},
                                   {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
  const auto within = [](const auto& ranges, unsigned code) {
    return std::any_of(std::begin(ranges), std::end(ranges),
                       [&](const auto& range) { return range[0] <= code && code <= range[1]; });
  };
  const auto first = static_cast<unsigned char>(text[at]);
  unsigned code = first < 0x80 ? first : first < 0xE0 ? first & 0x1F : first < 0xF0 ? first & 0x0F : first & 0x07;
  std::size_t bytes = 1;
  for (; at + bytes < text.size(); ++bytes) {
    const auto next = static_cast<unsigned char>(text[at + bytes]);
    if ((next & 0xC0) != 0x80) break;
    code = (code << 6) | (next & 0x3F);
  }
  return {.bytes = bytes, .columns = within(kMarks, code) ? 0U : within(kWide, code) ? 2U : 1U};
}

// How many bytes of the word make a first part of at most `width` columns, or one character.
std::size_t first_part(std::string_view word, std::size_t width) {
  const std::size_t most = std::max(first_columns(word, width).size(), character_at(word, 0).bytes);
  const std::size_t mark = word.substr(0, most).find_last_of("|,/=");
  return mark == std::string_view::npos ? most : mark + 1;
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
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size();) {
    const Character character = character_at(text, i);
    columns += character.columns;
    i += character.bytes;
  }
  return columns;
}

std::string_view first_columns(std::string_view text, std::size_t width) {
  std::size_t bytes = 0;
  for (std::size_t columns = 0; bytes < text.size();) {
    const Character character = character_at(text, bytes);
    columns += character.columns;
    if (columns > width) break;
    bytes += character.bytes;
  }
  return text.substr(0, bytes);
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

std::vector<std::string> broken_at_blanks(std::string_view line, std::size_t width) {
  if (columns_of(line) <= width) return {std::string(line)};
  std::vector<std::string> lines;
  const auto add = [&](std::string_view piece) {
    if (lines.empty() || columns_of(lines.back()) + 1 + columns_of(piece) > width) {
      lines.emplace_back(piece);
    } else {
      lines.back() += ' ';
      lines.back() += piece;
    }
  };
  std::size_t begin = 0;
  for (std::size_t i = 1; i + 1 < line.size(); ++i) {
    const bool is_single = line[i] == ' ' && line[i - 1] != ' ' && line[i + 1] != ' ';
    if (!is_single) continue;
    add(line.substr(begin, i - begin));
    begin = i + 1;
  }
  add(line.substr(begin));
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
