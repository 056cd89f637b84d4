// The texts of the program's help, as they are written in the sources and as they are shown.
//
// A text is written to be read where it stands. Lines that begin at the margin make a paragraph, which ends at an empty
// line or at an entry; a line that is indented by two spaces begins an entry, a term and what is said of it behind two
// spaces or more; lines that are indented further go on with that:
//
//   Examples:
//     hourglass restore photo.jpg         writes photo.restored.png beside it
//     hourglass restore photo.jpg --fast  the filter alone: seconds
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hourglass::cli {

// A term and what is said of it, which may be empty.
struct Entry {
  std::string term, text;
};

// A paragraph, or the entries that follow each other.
struct Block {
  std::string paragraph;
  std::vector<Entry> entries = {};
  bool follows_closely = false;  // no empty line before it

  // "Examples" of the paragraph "Examples:"; empty where it is none of a single word.
  [[nodiscard]] std::string title() const;
};

std::vector<Block> parse_prose(std::string_view text);

// Columns of a terminal that a text in UTF-8 takes: two for most characters of East Asia.
std::size_t columns_of(std::string_view text);
// As much of the text's beginning as takes no more columns, in whole characters.
std::string_view first_columns(std::string_view text, std::size_t width);

// Lines of at most `width` columns. A word that is longer is broken, behind one of |,/= where it has any.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

// A message's line, in lines of at most `width` columns where no word is longer. Words stay whole, and so do blanks
// that follow each other: file names have such.
std::vector<std::string> broken_at_blanks(std::string_view line, std::size_t width);

// Each line of the text in lines of at most `width` columns. Those that begin with a blank are a table's, and stay.
std::string wrapped_lines(std::string_view text, std::size_t width);

// A command of a shell, as one can paste it: a line that goes on ends with a backslash, and none between an option and
// what follows it.
std::vector<std::string> wrapped_command(std::string_view command, std::size_t width);

// The entries in two columns, indented by two, with a line end behind each line. The first is as wide as its terms are,
// up to a third or so of the width; what is said of a longer term stands below it.
std::string entries_text(std::span<const Entry> entries, std::size_t width);

// All of it, blocks apart as they were written.
std::string prose_text(std::string_view text, std::size_t width);

}  // namespace hourglass::cli
