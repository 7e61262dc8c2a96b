/** The SETTINGS frame of a peer, checked, as far as a server cares. */

import {
  ConnectionError,
  ErrorCode,
  FRAME_BYTES_DEFAULT,
  Setting,
  WINDOW_BYTES_MAX,
} from './frames.ts';

const SETTING_BYTES = 6;
const FRAME_BYTES_MAX = 0xffffff;

/** `null` where the frame says nothing. */
export interface PeerSettings {
  headerTableBytes: number | null;
  initialWindow: number | null;
  frameBytesMax: number | null;
}

/** Throws `ConnectionError`. */
export function parseSettings(chunk: Buffer, start: number, end: number): PeerSettings {
  if ((end - start) % SETTING_BYTES !== 0) {
    throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'malformed settings');
  }
  const settings: PeerSettings = {
    headerTableBytes: null,
    initialWindow: null,
    frameBytesMax: null,
  };
  for (let pos = start; pos < end; pos += SETTING_BYTES) {
    take(settings, chunk.readUInt16BE(pos), chunk.readUInt32BE(pos + 2));
  }
  return settings;
}

function take(settings: PeerSettings, id: number, value: number): void {
  switch (id) {
    case Setting.HEADER_TABLE_SIZE:
      // The least value counts, since an encoder must have honoured it in between.
      settings.headerTableBytes = Math.min(settings.headerTableBytes ?? value, value);
      return;
    case Setting.ENABLE_PUSH:
      if (value > 1) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'bad ENABLE_PUSH');
      return;
    case Setting.INITIAL_WINDOW_SIZE:
      if (value > WINDOW_BYTES_MAX) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'initial window too large');
      }
      settings.initialWindow = value;
      return;
    case Setting.MAX_FRAME_SIZE:
      if (value < FRAME_BYTES_DEFAULT || value > FRAME_BYTES_MAX) {
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'bad MAX_FRAME_SIZE');
      }
      settings.frameBytesMax = value;
      return;
    default:
  }
}
