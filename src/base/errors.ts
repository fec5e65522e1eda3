/**
 * @file The errors of qklab. Each has a stable `code`, and a message of the form
 * *Cannot ‹act› as ‹rule›: ‹value seen›. ‹What to do next›.* The command line turns the class into an exit code.
 */

/** A kind or a shape is wrong: tensors that do not fit together, widths that do not divide. */
export class ShapeError extends TypeError {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "ShapeError";
    this.code = code;
  }
}

/** A value is outside the domain in which the formula is defined. */
export class DomainError extends RangeError {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "DomainError";
    this.code = code;
  }
}

/** A legal wish that this backend, this machine or this combination of parts cannot fulfil. */
export class UnsupportedError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "UnsupportedError";
    this.code = code;
  }
}

/** A file, a package or a network place is missing or unreadable. */
export class MissingError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MissingError";
    this.code = code;
  }
}

/** Numbers failed: a NaN or an infinity where a number must be, or two forms that disagree. */
export class NumbersError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "NumbersError";
    this.code = code;
  }
}
