// Frames of a pack that are read in one go: neighbours, and those with small gaps between them.
import type { FrameEntry } from '../format/pack-format.ts';

/** Bytes of a pack that are read and worked on at once. */
const READ_MAX_BYTES = 8 * 1024 * 1024;
/** Reading over frames of this size that nobody wants is cheaper than a second read. */
const GAP_MAX_BYTES = 128 * 1024;

export type FrameRead<Frame> = {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly frames: readonly Frame[];
};

/** `frames` in the order in which they lie in the pack. */
export function joinFrames<Frame extends { readonly entry: FrameEntry }>(frames: readonly Frame[]): FrameRead<Frame>[] {
  const reads: { offsetBytes: number; lengthBytes: number; frames: Frame[] }[] = [];
  for (const frame of frames) {
    const { offsetBytes, storedBytes } = frame.entry;
    const last = reads.at(-1);
    const grownBytes = last ? offsetBytes + storedBytes - last.offsetBytes : 0;
    const isNear = last !== undefined && offsetBytes - (last.offsetBytes + last.lengthBytes) <= GAP_MAX_BYTES;
    if (last && isNear && grownBytes <= READ_MAX_BYTES) {
      last.lengthBytes = grownBytes;
      last.frames.push(frame);
    } else {
      reads.push({ offsetBytes, lengthBytes: storedBytes, frames: [frame] });
    }
  }
  return reads;
}
