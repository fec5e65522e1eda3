/** @file What a call of a kernel is told beside its inputs. */
import { type Tensor64 } from "../../../base/tensor.ts";
import { type CallPlan } from "./call-plan.ts";
import { type RowPlaces } from "./stored-rows.ts";
import { type TablePlace } from "./stored-table.ts";

/** Keys and values that lie in the memory already, and what was decided when they were written. */
export interface StoredKeys extends RowPlaces {
  readonly parameters: Readonly<Record<string, Tensor64>>;
  /** The length that centres xPos. */
  readonly rotationLength: number;
  readonly table: TablePlace | undefined;
  /** The place of the sequence that rows, and the offset of a call, are counted from. */
  readonly first: number;
  /** Whether all queries of a head are at one place, the call's offset. */
  readonly isOnePlace: boolean;
}

/** What a call is told beside its inputs. */
export interface CallOptions {
  /** Names of the parameters whose gradients are asked for; all when absent. */
  readonly learned?: readonly string[] | undefined;
  /** Whether scores of all pairs are asked for. */
  readonly showsPairs?: boolean;
  /** A plan for every query head in place of the pattern's. */
  readonly plans?: readonly CallPlan[] | undefined;
  /** Keys and values in place of those of the inputs, of which only the shapes count then. */
  readonly stored?: StoredKeys;
}
