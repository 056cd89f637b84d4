// What the program prints, and how it bears that it can't.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace hourglass::cli {

// Prints a text that is no reason to end the work when it can't be printed. On stdout it shows at the end, in ferror();
// on stderr it is lost.
void print_to(std::FILE* stream, std::string_view text);

// Prints a text and a line end; on a terminal lines that are too long for it go on in the next one, behind whole words.
void print_message(std::FILE* stream, std::string_view text);
// The same of a text whose columns stand below each other: its lines stay, however wide the terminal is.
void print_table(std::FILE* stream, std::string_view text);
// Prints words and a command behind them; on a terminal the command in lines that can be pasted as they are.
void print_command(std::FILE* stream, std::string_view before, std::string_view command);

// "hourglass: warning: TEXT" on stderr.
void warn(std::string_view text);

// "hourglass: note: TEXT" on stderr.
void note(std::string_view text);

// Puts something into the places of standard streams that are closed, with which reading and writing fails: the next
// file that is opened would stand there otherwise, and get the messages.
void fill_standard_streams();

}  // namespace hourglass::cli
