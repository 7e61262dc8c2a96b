// Generated from proto/ by scripts/gen-codec.mjs; do not edit.

export const EventType = {
  PUT: 0,
  DELETE: 1,
} as const;
