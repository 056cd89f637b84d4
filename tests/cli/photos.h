// What tests of runs of several files begin with: photographs in a folder, and what they look at afterwards.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/run.h"

namespace hourglass::test {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

// A small photograph of quality 10, in a folder that is made for it.
void save_jpeg(const std::string& path, int64_t width, uint32_t seed = 1);

// Three photographs, one of them below, and a file that is none.
void fill(const std::string& photos);

// The files in a folder, with the places that they have in it.
std::map<std::string, std::string> content(const std::string& folder);
Names names(const std::map<std::string, std::string>& files);

// An object for each line.
std::vector<nlohmann::json> objects_of(const std::string& lines);

std::string text_of(const std::string& path);

// Process ids of the children that this test's children have.
Names children_of_children();

// hourglass restore --fast, on one thread.
Run filter(Names arguments);

}  // namespace hourglass::test
