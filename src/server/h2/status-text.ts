/** The text of a status in `grpc-message`: UTF-8, percent-encoded outside printable ASCII. */

const PLAIN = /^[ -$&-~]*$/;

export function percentEncode(text: string): string {
  if (PLAIN.test(text)) return text;
  let encoded = '';
  // Lone surrogates become the replacement character, as grpc-go does it with invalid UTF-8.
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
