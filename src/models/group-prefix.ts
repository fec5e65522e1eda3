/** @file Where the parameters of a group of heads are: with the layer's own where it is the only one. */

/**
 * @param layer - the prefix of the layer's attention, such as `model.layers.0.self_attn`
 * @param groups - how many groups the layer has
 */
export function groupPrefix(layer: string, groups: number, index: number): string {
  return groups === 1 ? layer : `${layer}.groups.${index}`;
}
