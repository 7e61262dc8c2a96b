/** File name in src/codec/gen/ to text. */
export function generate(): Map<string, string>;
