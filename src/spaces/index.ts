/** @file Spaces: where queries and keys live. One record a file; imports only from `src/base/`. */
import { complexSpace } from "./complex.ts";
import { euclideanSpace } from "./euclidean.ts";
import { lorentzSpace } from "./lorentz.ts";
import { poincareSpace } from "./poincare.ts";
import { productSpace } from "./product.ts";
import type { SpaceDefinition, SpaceName } from "./space.ts";
import { sphereSpace } from "./sphere.ts";

export { complexSpace, hermitianInner } from "./complex.ts";
export { euclideanSpace } from "./euclidean.ts";
export {
  einsteinMidpoint,
  hyperboloidToKlein,
  kleinToHyperboloid,
  lorentzCentroid,
} from "./hyperbolic-means.ts";
export {
  hyperboloidDistance,
  hyperboloidExp,
  hyperboloidGradient,
  hyperboloidLog,
  hyperboloidPoint,
  hyperboloidRadius,
  hyperboloidTransport,
  minkowskiInner,
} from "./hyperboloid.ts";
export { lorentzBoost, randomLorentzBoost } from "./lorentz-boost.ts";
export { lorentzSpace } from "./lorentz.ts";
export { poincareSpace, polarCoordinates, polarLift } from "./poincare.ts";
export { type ProductMember, productSpace } from "./product.ts";
export type { CurvatureOptions, Space, SpaceDefinition, SpaceFactory } from "./space.ts";
export { sphereSpace } from "./sphere.ts";
export { gyromidpoint, stereographicLift, stereographicProject } from "./stereographic-lift.ts";
export {
  hyperplaneDistance,
  stereographicDistance,
  stereographicExp,
  stereographicExp0,
  stereographicGradient,
  stereographicInner,
  stereographicLog,
  stereographicLog0,
  stereographicRadius,
  stereographicTransport,
  stereographicTransport0,
} from "./stereographic-maps.ts";
export { conformalFactor, gyration, mobiusAdd, mobiusMultiply, mobiusScale } from "./stereographic.ts";
export { applyMatrix, type Vector } from "./vector.ts";

/** What is known about every space, by name. */
export const spaceDefinitions: Readonly<Record<SpaceName, SpaceDefinition>> = {
  euclidean: euclideanSpace.definition,
  sphere: sphereSpace.definition,
  poincare: poincareSpace.definition,
  lorentz: lorentzSpace.definition,
  complex: complexSpace.definition,
  product: productSpace.definition,
};
