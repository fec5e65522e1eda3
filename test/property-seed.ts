/**
 * @file Set up before the tests of `npm test` and `npm run browser`: they draw the same random cases every time, so that what
 * they say depends on the code alone. `npm run test:random` and the long tests go without: other cases every time, and a
 * failure prints the seed with which it comes again.
 */
import { configureGlobal } from "fast-check";

const FIXED_SEED = 20_191;

configureGlobal({ seed: FIXED_SEED });
