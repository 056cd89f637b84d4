// Einsum{equation}: products of the operands' elements, summed over the letters that the result lacks.  ONNX Einsum-12
//   "bhdn,bhen->bhde": dst[b,h,d,e] = sum over n of x[b,h,d,n] * y[b,h,e,n]. Without "->" the result has, in
//   alphabetical order, the letters that occur once. "..." stands for the dimensions that have no letter, which
//   broadcast.
// A composition: operands are joined two at a time. A letter that only one of the two has, and that neither a later
// operand nor the result has, is summed over first (ReduceSum). Of the letters that both have, those that are needed
// later are MatMul's batch dimensions, the others its inner dimension; where there are no others, it is a Mul.
#include <algorithm>
#include <cctype>
#include <map>

#include "graph/error.h"
#include "graph/op.h"

namespace hourglass::ops::einsum {
namespace {

using Letters = std::string;

// As many as kernels of two operands can have.
constexpr int kMostDims = 12;

// A value whose dimensions have names.
struct Term {
  ValueId value;
  Letters letters;
};

bool has(const Letters& letters, char letter) { return letters.find(letter) != Letters::npos; }

class Einsum {
 public:
  explicit Einsum(LowerContext& ctx) : ctx_(ctx) {}

  ValueId run() {
    read_equation();
    for (Term& term : terms_) term = diagonal(std::move(term));
    Term result = terms_[0];
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      Letters read_later = dst_;
      for (std::size_t k = i + 1; k < terms_.size(); ++k) read_later += terms_[k].letters;
      if (i == 0) {
        result = summed(result, read_later);
        continue;
      }
      result = joined(summed(result, read_later + terms_[i].letters), summed(terms_[i], read_later + result.letters),
                      read_later);
    }
    return arranged(summed(result, dst_), dst_).value;
  }

 private:
  [[nodiscard]] Shape shape(const Term& term) const { return ctx_.shape(term.value); }

  // Dimensions that "..." stands for get the digits as letters, the last one 0.
  void read_equation() {
    Letters equation;
    for (const char ch : ctx_.node.attrs.string("equation")) {
      if (std::isdigit(static_cast<unsigned char>(ch)) != 0)
        fail("the equation has '{}', expected letters and '...'", ch);
      if (ch != ' ') equation += ch;
    }
    const auto arrow = equation.find("->");
    const Letters left = equation.substr(0, arrow);
    std::vector<Letters> given(1);
    for (const char ch : left) {
      if (ch == ',') {
        given.emplace_back();
      } else {
        given.back() += ch;
      }
    }
    if (given.size() != ctx_.node.inputs.size()) {
      fail("equation '{}' has {} operands, {} are given", equation, given.size(), ctx_.node.inputs.size());
    }
    std::size_t unnamed = 0;
    for (std::size_t i = 0; i < given.size(); ++i) {
      if (!ctx_.has(i)) fail("operand {} is missing", i);
      const Shape src = ctx_.shape(ctx_.node.inputs[i]);
      Letters letters = given[i];
      if (const auto dots = letters.find("..."); dots != Letters::npos) {
        const int named = static_cast<int>(letters.size()) - 3;
        if (named > src.rank()) fail("'{}' names more dimensions than {} has", given[i], src);
        const auto count = static_cast<std::size_t>(src.rank() - named);
        unnamed = std::max(unnamed, count);
        letters.replace(dots, 3, digits(count));
      }
      check_letters(letters, given[i]);
      if (static_cast<int>(letters.size()) != src.rank())
        fail("'{}' does not name the dimensions of {}", given[i], src);
      for (std::size_t d = 0; d < letters.size(); ++d) {
        int64_t& extent = extents_.try_emplace(letters[d], 1).first->second;
        const int64_t found = src.dims()[d];
        const auto before = letters.find(letters[d]);
        const int64_t expected = before < d ? src.dims()[before] : extent;
        if (expected != found && (before < d || (expected != 1 && found != 1))) {
          fail("equation '{}' does not fit: '{}' has extent {} here and {} before", equation, given[i], found,
               expected);
        }
        extent = extent == 1 ? found : extent;
      }
      terms_.push_back({ctx_.node.inputs[i], letters});
    }
    if (arrow != Letters::npos) {
      dst_ = equation.substr(arrow + 2);
      if (const auto dots = dst_.find("..."); dots != Letters::npos) dst_.replace(dots, 3, digits(unnamed));
      check_letters(dst_, dst_);
      for (const char letter : dst_) {
        if (std::count(dst_.begin(), dst_.end(), letter) > 1) {
          fail("the result of '{}' has '{}' twice: a matrix of a diagonal is not supported", equation, letter);
        }
        if (!extents_.contains(letter)) fail("'{}' of the result of '{}' is in no operand", letter, equation);
      }
    } else {
      dst_ = digits(unnamed);
      for (const auto& [letter, extent] : extents_) {
        if (letter > '9' && std::count(left.begin(), left.end(), letter) == 1) dst_ += letter;
      }
    }
  }

  static Letters digits(std::size_t count) {
    if (count > 10) fail("'...' stands for {} dimensions, at most 10 are supported", count);
    return Letters("9876543210").substr(10 - count);
  }

  static void check_letters(const Letters& letters, const Letters& given) {
    for (const char letter : letters) {
      const bool is_letter = (letter >= '0' && letter <= '9') || std::isalpha(static_cast<unsigned char>(letter)) != 0;
      if (!is_letter) fail("'{}' has '{}', expected letters and '...'", given, letter);
    }
  }

  // The term with each of its letters once: the diagonal of dimensions that have the same.
  [[nodiscard]] Term diagonal(Term term) const {
    const auto twice = std::find_if(term.letters.begin(), term.letters.end(), [&](char letter) {
      return std::count(term.letters.begin(), term.letters.end(), letter) > 1;
    });
    if (twice == term.letters.end()) return term;
    const char letter = *twice;
    const auto first = static_cast<int64_t>(term.letters.find(letter));
    const auto second = static_cast<int64_t>(term.letters.find(letter, static_cast<std::size_t>(first) + 1));
    // Both behind the others and as one dimension, of which every (n + 1)st element is on the diagonal.
    const Shape src = shape(term);
    const int64_t n = src.dims()[static_cast<std::size_t>(first)];
    Letters others;
    Dims perm, dims;
    for (int64_t d = 0; d < src.rank(); ++d) {
      if (d == first || d == second) continue;
      others += term.letters[static_cast<std::size_t>(d)];
      perm.push_back(d);
      dims.push_back(src.dims()[static_cast<std::size_t>(d)]);
    }
    perm.insert(perm.end(), {first, second});
    dims.push_back(n * n);
    const ValueId matrices = ctx_.reshape(ctx_.add("Transpose", {term.value}, {{"perm", perm}}), dims);
    const ValueId chosen = ctx_.add(
        "Slice", {matrices}, {{"starts", Dims{0}}, {"ends", Dims{n * n}}, {"axes", Dims{-1}}, {"steps", Dims{n + 1}}});
    return diagonal({chosen, others + letter});
  }

  // The term without the letters that are not kept.
  [[nodiscard]] Term summed(const Term& term, const Letters& kept) const {
    Dims axes;
    Letters left;
    for (std::size_t d = 0; d < term.letters.size(); ++d) {
      if (has(kept, term.letters[d])) {
        left += term.letters[d];
      } else {
        axes.push_back(static_cast<int64_t>(d));
      }
    }
    if (axes.empty()) return term;
    return {ctx_.add("ReduceSum", {term.value}, {{"axes", axes}, {"keepdims", int64_t{0}}}), left};
  }

  [[nodiscard]] Term arranged(const Term& term, const Letters& order) const {
    if (term.letters == order) return term;
    Dims perm;
    for (const char letter : order) perm.push_back(static_cast<int64_t>(term.letters.find(letter)));
    return {ctx_.add("Transpose", {term.value}, {{"perm", perm}}), order};
  }

  // The extents that a term has of these letters, one after another; 1 where it broadcasts.
  [[nodiscard]] Dims extents(const Term& term, const Letters& letters) const {
    Dims result;
    for (const char letter : letters) {
      const auto found = term.letters.find(letter);
      result.push_back(found == Letters::npos ? 1 : shape(term).dims()[found]);
    }
    return result;
  }

  // The term with its letters in that order, expanded where it broadcasts against the other operands.
  [[nodiscard]] Term whole(const Term& term, const Letters& order) const {
    const Term result = arranged(term, order);
    Dims dims;
    for (const char letter : order) dims.push_back(extents_.at(letter));
    if (shape(result).dims() == dims) return result;
    return {ctx_.add("Expand", {result.value}, {{"shape", dims}}), order};
  }

  [[nodiscard]] Term joined(const Term& a, const Term& b, const Letters& kept) const {
    Letters batch, summed, rows, columns;
    for (const char letter : a.letters) {
      if (!has(b.letters, letter)) {
        rows += letter;
      } else {
        (has(kept, letter) ? batch : summed) += letter;
      }
    }
    for (const char letter : b.letters) {
      if (!has(a.letters, letter)) columns += letter;
    }
    const Letters all = batch + rows + columns;
    for (const Letters& letters : {a.letters, b.letters, all}) {
      if (static_cast<int>(letters.size()) > kMostDims) {
        fail("joins operands of {} dimensions in all, up to {} are supported", letters.size(), kMostDims);
      }
    }
    if (summed.empty()) {
      const Term left = arranged(a, batch + rows), right = arranged(b, batch + columns);
      return {ctx_.add("Mul",
                       {ctx_.reshape(left.value, extents(left, all)), ctx_.reshape(right.value, extents(right, all))}),
              all};
    }
    const int64_t count = product(batch), m = product(rows), k = product(summed), n = product(columns);
    // As they lie, where that is a transposed matrix.
    const bool trans_a = a.letters == batch + summed + rows, trans_b = b.letters == batch + columns + summed;
    const Term left = whole(a, trans_a ? a.letters : batch + rows + summed);
    const Term right = whole(b, trans_b ? b.letters : batch + summed + columns);
    const ValueId made =
        ctx_.add("MatMul",
                 {ctx_.reshape(left.value, trans_a ? matrices(batch, count, k, m) : matrices(batch, count, m, k)),
                  ctx_.reshape(right.value, trans_b ? matrices(batch, count, n, k) : matrices(batch, count, k, n))},
                 {{"trans_a", int64_t{trans_a}}, {"trans_b", int64_t{trans_b}}});
    Dims dims;
    for (const char letter : all) dims.push_back(extents_.at(letter));
    return {ctx_.reshape(made, dims), all};
  }

  static Dims matrices(const Letters& batch, int64_t count, int64_t rows, int64_t columns) {
    return batch.empty() ? Dims{rows, columns} : Dims{count, rows, columns};
  }

  [[nodiscard]] int64_t product(const Letters& letters) const {
    int64_t result = 1;
    for (const char letter : letters) {
      if (__builtin_mul_overflow(result, extents_.at(letter), &result))
        fail("the product of its operands is too large");
    }
    return result;
  }

  LowerContext& ctx_;
  std::vector<Term> terms_;
  Letters dst_;
  std::map<char, int64_t> extents_;
};

std::vector<ValueId> lower_einsum(LowerContext& ctx) { return {Einsum(ctx).run()}; }

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {{.name = "Einsum",
                               .since = 12,
                               .max_inputs = 1 << 10,
                               .attrs = {AttrSpec::required("equation", AttrKind::string)},
                               .lower = lower_einsum}};
  return ops;
}

}  // namespace hourglass::ops::einsum
