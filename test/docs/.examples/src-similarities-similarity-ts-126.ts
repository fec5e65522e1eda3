import { add, attention, full, log1p, mul, positive, similarity, sub } from "qklab";
const student = similarity("student", {
  inner: "dot",
  score: ({ s, q2, k2, tau }) => log1p(sub(add(q2, k2), mul(2, s)).div(tau)).neg(),
  params: { tau: positive(1) },
});
const attend = attention({ similarity: student({ tau: 2 }), pattern: full() });
