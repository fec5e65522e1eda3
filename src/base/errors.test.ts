import { expect, test } from "vitest";
import { DomainError, MissingError, NumbersError, ShapeError, UnsupportedError } from "./errors.ts";

const classes = [
  { name: "ShapeError", Class: ShapeError, ancestor: TypeError },
  { name: "DomainError", Class: DomainError, ancestor: RangeError },
  { name: "UnsupportedError", Class: UnsupportedError, ancestor: Error },
  { name: "MissingError", Class: MissingError, ancestor: Error },
  { name: "NumbersError", Class: NumbersError, ancestor: Error },
];

test.each(classes)("$name carries its code, its message and its own name", ({ name, Class, ancestor }) => {
  const error = new Class("some-code", "Cannot do it");
  expect(error).toBeInstanceOf(ancestor);
  expect({ code: error.code, message: error.message, name: error.name }).toEqual({
    code: "some-code",
    message: "Cannot do it",
    name,
  });
});

test("no class is an instance of another, so that each has its own exit code", () => {
  for (const { Class } of classes) {
    const error = new Class("some-code", "Cannot do it");
    expect(classes.filter((other) => error instanceof other.Class).map((other) => other.Class)).toEqual([
      Class,
    ]);
  }
});

test("a missing thing keeps the system's error as its cause", () => {
  const cause = new Error("ENOENT");
  expect(new MissingError("file", "Cannot read it", { cause }).cause).toBe(cause);
});
