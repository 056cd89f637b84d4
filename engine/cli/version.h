// What --version prints, and what a distributor must know of what the program is made of.
#pragma once

#include <string>
#include <vector>

namespace hourglass::cli {

// What the program is linked with or made of, besides the compiler.
struct Library {
  std::string name;
  std::string version;  // of the one that runs where it can be asked, else of the one that was built with
  std::string licence;  // as an SPDX expression
  std::string home;     // its URL
};
std::vector<Library> libraries();

// hourglass and the libraries that decide about its results, one per line.
std::string version_text();
// hourglass and all libraries, as one JSON object on one line: name, version, commit, licence, libraries.
std::string version_json();
// The same list as a bill of materials, in CycloneDX 1.5's JSON.
std::string bill_of_materials();

// "1.0.0", and the day of this release, "2026-11-29".
const char* release_version();
const char* release_date();

}  // namespace hourglass::cli
