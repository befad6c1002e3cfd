// What the main thread asks of a pipeline thread, and what it gets back. Volume data stays in the threads: only sealed
// frames (backup) and stored frames (restore) cross, as transferred memory.
import type { DeviceDescriptor } from '../../volumes/volume.ts';
import type { FrameEntry } from '../format/pack-format.ts';

/** Opens a disk under a number that later requests of the same thread name. */
export type OpenDevice = {
  readonly type: 'open-device';
  readonly deviceId: number;
  readonly descriptor: DeviceDescriptor;
  readonly mode: 'read' | 'write';
};
export type CloseDevice = { readonly type: 'close-device'; readonly deviceId: number };

/** Reads chunks of one segment and keeps them until `release`. */
export type ScanSegment = {
  readonly type: 'scan';
  readonly deviceId: number;
  readonly segmentId: number;
  readonly offsetBytes: number;
  /** At most a segment; the last chunk of a volume may be shorter. */
  readonly lengthBytes: number;
  /** Pairs (first chunk, chunk count) that may hold data; all else is zeros and is not read. */
  readonly runs: readonly number[];
};
export type ScannedSegment = {
  /** 32 bytes a chunk, undefined content where `isZero`. */
  readonly digests: Uint8Array;
  readonly isZero: Uint8Array;
};

/** Compresses and seals chunks of a scanned segment as frames of one pack, in the order given. */
export type SealFrames = {
  readonly type: 'seal';
  readonly segmentId: number;
  readonly header: Uint8Array;
  readonly key: Uint8Array;
  readonly compressionLevel: number;
  readonly frames: readonly {
    readonly ordinal: number;
    readonly firstSlot: number;
    readonly chunks: readonly number[];
  }[];
};
export type SealedFrames = {
  /** The frames one after the other, each with its header. */
  readonly bytes: Uint8Array;
  readonly frames: readonly { readonly storedBytes: number; readonly codec: number }[];
};

/** Forgets a scanned segment. */
export type ReleaseSegment = { readonly type: 'release'; readonly segmentId: number };

/** A slot wanted from a frame. */
export type WantedSlot = {
  /** Slot number minus the frame's first slot. */
  readonly bit: number;
  readonly digest: Uint8Array;
  /** Where the chunk goes on the disk; several when the volume holds it more than once. */
  readonly offsets: readonly number[];
};

/** Opens frames that were read from a pack, checks every wanted chunk, and writes them or sends them back. */
export type UnsealFrames = {
  readonly type: 'unseal';
  /** Undefined: the chunks are sent back, 64 KiB each, in the order wanted. */
  readonly deviceId: number | undefined;
  readonly objectName: string;
  readonly header: Uint8Array;
  readonly key: Uint8Array;
  /** Stored bytes of the pack from `bytesOffset` on. */
  readonly bytes: Uint8Array;
  readonly bytesOffset: number;
  readonly frames: readonly { readonly entry: FrameEntry; readonly slots: readonly WantedSlot[] }[];
};
export type UnsealedFrames = { readonly chunks: Uint8Array | undefined };

/** Seals frames that were read from a pack anew, for another object of it, without the slots that are dead. */
export type ResealFrames = {
  readonly type: 'reseal';
  readonly objectName: string;
  readonly header: Uint8Array;
  readonly key: Uint8Array;
  /** Stored bytes of the pack from `bytesOffset` on. */
  readonly bytes: Uint8Array;
  readonly bytesOffset: number;
  readonly target: { readonly header: Uint8Array; readonly key: Uint8Array };
  readonly compressionLevel: number;
  readonly frames: readonly {
    readonly entry: FrameEntry;
    /** Slots that stay: some of those of `entry.mask`. */
    readonly keptMask: number;
    /** In the new object. */
    readonly ordinal: number;
    /** Of the slots that stay, 32 bytes each. */
    readonly digests: Uint8Array;
    /** What the slots that stay hold, one after the other, in place of a frame that cannot be read. */
    readonly replacement?: Uint8Array | undefined;
  }[];
};

/** A frame whose slots are all to be checked. */
export type CheckedFrame = {
  readonly entry: FrameEntry;
  /** Of the present slots in their order, 32 bytes each. */
  readonly digests: Uint8Array;
  /** Plaintext bytes of each present slot. */
  readonly lengths: readonly number[];
};
/** Opens frames that were read from a pack and compares every slot with its digest; damage is an answer here. */
export type CheckFrames = Pick<UnsealFrames, 'objectName' | 'header' | 'key' | 'bytes' | 'bytesOffset'> & {
  readonly type: 'check';
  readonly frames: readonly CheckedFrame[];
  /** The contents of slots that have their digests are sent back, also of frames that are not authentic. */
  readonly salvages: boolean;
};
export type CheckedFrames = {
  readonly damaged: readonly {
    /** Position in the request. */
    readonly frame: number;
    /** Slots that a reader cannot get: bits of the frame's mask. */
    readonly mask: number;
    readonly reason: string;
  }[];
  /** By frame, then by present slot; null where a slot cannot be had. Empty unless salvaging. */
  readonly salvaged: readonly (readonly (Uint8Array | null)[])[];
};

/** Reads chunks from a disk and sends back those that have the digest wanted. */
export type MatchChunks = {
  readonly type: 'match';
  readonly deviceId: number;
  readonly wanted: readonly { readonly offsetBytes: number; readonly digest: Uint8Array }[];
};
export type MatchedChunks = { readonly chunks: readonly (Uint8Array | null)[] };

/** Looks for frames in an object whose trailer is lost, by their headers in the clear. */
export type FindFrames = Pick<UnsealFrames, 'objectName' | 'header' | 'key' | 'bytes'> & {
  readonly type: 'find-frames';
  readonly kind: 'data' | 'page';
};
export type FoundFrames = { readonly frames: readonly CheckedFrame[] };

/** Makes ranges read zero: pairs (offset, length). */
export type ZeroRanges = { readonly type: 'zero'; readonly deviceId: number; readonly ranges: readonly number[] };

export type PipelineRequest =
  | OpenDevice
  | CloseDevice
  | ScanSegment
  | SealFrames
  | ReleaseSegment
  | UnsealFrames
  | ResealFrames
  | CheckFrames
  | MatchChunks
  | FindFrames
  | ZeroRanges;

export type PipelineReply<Request extends PipelineRequest> = Request extends ScanSegment
  ? ScannedSegment
  : Request extends SealFrames | ResealFrames
    ? SealedFrames
    : Request extends UnsealFrames
      ? UnsealedFrames
      : Request extends CheckFrames
        ? CheckedFrames
        : Request extends MatchChunks
          ? MatchedChunks
          : Request extends FindFrames
            ? FoundFrames
            : undefined;

/** On the wire between the threads. */
export type RequestEnvelope = { readonly callId: number; readonly request: PipelineRequest };
export type ReplyEnvelope =
  | { readonly callId: number; readonly reply: PipelineReply<PipelineRequest> }
  | { readonly callId: number; readonly failure: WireFailure };
/** An error as plain data: a VbsError keeps its code and details across threads. */
export type WireFailure = {
  readonly code: string | undefined;
  readonly details: Record<string, string | number | undefined>;
  readonly message: string;
  readonly stack: string | undefined;
};
