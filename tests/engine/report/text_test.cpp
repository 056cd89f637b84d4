#include "engine/report/text.h"

#include <doctest/doctest.h>

#include "engine/image/file.h"

namespace hourglass::test {

TEST_CASE("what is not UTF-8 becomes the replacement character") {
  CHECK(to_utf8("plain, grüße, 10⁻³, 🐌\n") == "plain, grüße, 10⁻³, 🐌\n");
  const std::string bad = "\uFFFD";
  CHECK(to_utf8("a\xFF"
                "b") == "a" + bad + "b");
  CHECK(to_utf8("\xC3") == bad);                                // cut off
  CHECK(to_utf8("\xC0\xAF") == bad + bad);                      // longer than needed
  CHECK(to_utf8("\xE0\x9F\xBF") == bad + bad + bad);            // the same
  CHECK(to_utf8("\xED\xA0\x80") == bad + bad + bad);            // a surrogate
  CHECK(to_utf8("\xF4\x90\x80\x80") == bad + bad + bad + bad);  // beyond U+10FFFF
  CHECK(to_utf8("\xF0\x9F\x90") == bad + bad + bad);
  CHECK(to_utf8("\x1b[31m\t\x7f") == bad + "[31m" + bad + bad);
  CHECK(to_utf8(std::string_view("\0x", 2)) == bad + "x");
}

TEST_CASE("HTML sees no markup in a text") {
  CHECK(escape_html("<script>alert('x & \"y\"')</script>") ==
        "&lt;script&gt;alert(&#39;x &amp; &quot;y&quot;&#39;)&lt;/script&gt;");
  CHECK(escape_html("&amp;") == "&amp;amp;");
  CHECK(escape_html("\xFF<") == "\uFFFD&lt;");
  CHECK(escape_html("") == "");
}

TEST_CASE("base64: the examples of RFC 4648, clause 10") {
  const char* const examples[][2] = {{"", ""},
                                     {"f", "Zg=="},
                                     {"fo", "Zm8="},
                                     {"foo", "Zm9v"},
                                     {"foob", "Zm9vYg=="},
                                     {"fooba", "Zm9vYmE="},
                                     {"foobar", "Zm9vYmFy"}};
  for (const auto& [text, coded] : examples) CHECK(to_base64(bytes_of(text)) == coded);
  const std::vector<uint8_t> bytes{0xFB, 0xFF, 0xBF};
  CHECK(to_base64(bytes) == "+/+/");
}

}  // namespace hourglass::test
