/** A file's bytes in memory, as readers of files take them. */
export function sourceOf(bytes: Uint8Array) {
  return {
    read: (offset: number, length: number): Promise<Uint8Array> =>
      Promise.resolve(bytes.subarray(offset, offset + length)),
  };
}
