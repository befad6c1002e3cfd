// The system calls of Linux that Node lacks, called through koffi: this is the only file that knows it. Where koffi or
// the platform is missing, `portable` stands in: everything is data, nothing is punched, cloned or locked.
// It loads in worker threads too. Errors look like Node's: `code` and `syscall`.
import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';

/** What a lock taken on single bytes of a file came to; `unsupported` by the platform or the file system. */
export type LockResult = 'done' | 'conflict' | 'unsupported';

/** What a file system says of extents of a file. */
export type RawExtents = {
  /** The kernel's answer, EXTENT_SIZE_BYTES each; extent-map.ts reads it. */
  readonly bytes: Buffer;
  readonly count: number;
};

export type SystemCalls = {
  readonly isNative: boolean;
  /** The first offset >= `offsetBytes` that may hold data; undefined when only a hole follows. */
  seekData(fd: number, offsetBytes: number): number | undefined;
  /** The first offset >= `offsetBytes` that is in a hole; the end of a file is one. */
  seekHole(fd: number, offsetBytes: number): number;
  /** Makes a range read zero without writing it; false when that cannot be done here and zeros must be written. */
  punchHole(fd: number, offsetBytes: number, lengthBytes: number): boolean;
  /** Makes the file `toFd` share all blocks of `fromFd`, in one step; false where files cannot share blocks. */
  cloneFile(fromFd: number, toFd: number): Promise<boolean>;
  /** Size of a block device; undefined when it cannot be told. */
  blockDeviceSize(fd: number): number | undefined;
  /** Takes a shared lock on one byte, owned by the open file description. `fd` must be readable. */
  lockByte(fd: number, offsetBytes: number): LockResult;
  /** `conflict` when another open file description holds any lock on the byte. Takes nothing. */
  testByte(fd: number, offsetBytes: number): LockResult;
  /**
   * The first extents of a file that overlap the range, at most EXTENT_BATCH_COUNT, after what is dirty in memory was
   * written. Undefined where the file system keeps no such map.
   */
  mapExtents(fd: number, offsetBytes: number, lengthBytes: number): Promise<RawExtents | undefined>;
  /** Keeps everybody, root included, from changing the file, or lets them again; false where that cannot be done. */
  setImmutable(fd: number, isImmutable: boolean): boolean;
  /** On which of its devices a file system keeps the file's data; undefined when it cannot be told. */
  dataDevice(fd: number): 'data' | 'realtime' | undefined;
  /** Tells file systems apart, also over restarts of the machine; undefined when it cannot be told. */
  fileSystemId(fd: number): string | undefined;
  /** Forgets what is in memory of a file and was written already. Where that cannot be done, nothing happens. */
  dropCache(fd: number): Promise<void>;
};

/** Stand-ins that need nothing of the platform. */
export const portable: SystemCalls = {
  isNative: false,
  seekData: (_fd, offsetBytes) => offsetBytes,
  seekHole: () => Number.POSITIVE_INFINITY,
  punchHole: () => false,
  cloneFile: async () => false,
  blockDeviceSize: () => undefined,
  lockByte: () => 'unsupported',
  testByte: () => 'unsupported',
  mapExtents: async () => undefined,
  setImmutable: () => false,
  dataDevice: () => undefined,
  fileSystemId: () => undefined,
  dropCache: async () => undefined,
};

// Source: include/uapi/{linux/fs.h,linux/falloc.h,asm-generic/fcntl.h} of Linux; the same on all of LINUX_64_BIT.
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const FALLOC_FL_KEEP_SIZE = 0x01;
const FALLOC_FL_PUNCH_HOLE = 0x02;
const FALLOC_FL_ZERO_RANGE = 0x10;
const FICLONE = 0x4004_9409;
const BLKGETSIZE64 = 0x8008_1272;
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
const POSIX_FADV_DONTNEED = 4;
// Source: include/uapi/linux/{fs.h,fiemap.h} of Linux.
const FS_IOC_FIEMAP = 0xc020_660b;
const FIEMAP_FLAG_SYNC = 1;
const FIEMAP_HEADER_SIZE_BYTES = 32;
const FS_IOC_GETFLAGS = 0x8008_6601;
const FS_IOC_SETFLAGS = 0x4008_6602;
const FS_IMMUTABLE_FL = 0x10;
const FS_IOC_FSGETXATTR = 0x801c_581f;
const FS_XFLAG_REALTIME = 0x1;
/** Since Linux 6.9; before it the id that statfs tells stands in. */
const FS_IOC_GETFSUUID = 0x8011_1500;

/** Of one extent in the answer of `mapExtents`. */
export const EXTENT_SIZE_BYTES = 56;
/** Extents asked for at once: 112 KiB. */
export const EXTENT_BATCH_COUNT = 2048;

/** Little-endian, 64-bit `off_t`, generic numbers for ioctl: the layouts below hold for these. */
const LINUX_64_BIT: readonly string[] = ['x64', 'arm64', 'riscv64', 'loong64'];

/** Answers of a file system that does not offer a call at all, or not for this pair of files. */
const UNSUPPORTED: readonly string[] = ['EOPNOTSUPP', 'ENOTSUP', 'ENOTTY', 'ENOSYS', 'EINVAL', 'EXDEV', 'ENODEV'];
/** Answers to a wish that is not granted to everybody. */
const NOT_PERMITTED: readonly string[] = ['EPERM', 'EACCES'];

let loaded: SystemCalls | undefined;
let loadFailure: string | undefined;

/** The native calls where they work, else the portable ones; `systemCallsFailure` then tells why. */
export function loadSystemCalls(): SystemCalls {
  loaded ??= loadNative();
  return loaded;
}

/** Why the portable calls are in use; undefined when the native ones are. */
export function systemCallsFailure(): string | undefined {
  loadSystemCalls();
  return loadFailure;
}

function loadNative(): SystemCalls {
  if (process.platform !== 'linux' || !LINUX_64_BIT.includes(process.arch)) {
    loadFailure = `not available on ${process.platform}-${process.arch}`;
    return portable;
  }
  try {
    return bindNative();
  } catch (error) {
    loadFailure = error instanceof Error ? error.message : String(error);
    return portable;
  }
}

function bindNative(): SystemCalls {
  // `require` and not `import`: the module must be loadable when koffi has no build for this machine.
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  const library = koffi.load(null);
  const lseek = library.func('int64_t lseek(int fd, int64_t offset, int whence)');
  const fallocate = library.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
  // fcntl and ioctl are variadic in C. On the machines above an integer or pointer goes the same way to either kind of
  // function, and koffi calls only those of fixed arity asynchronously.
  const fcntl = library.func('int fcntl(int fd, int command, void *lock)');
  const ioctlPointer = library.func('ioctl', 'int', ['int', 'unsigned long', 'void *']);
  const ioctlNumber = library.func('ioctl', 'int', ['int', 'unsigned long', 'int64_t']);

  const fail = (syscall: string): never => {
    throw systemError(syscall, koffi.errno());
  };
  const seek = (fd: number, offsetBytes: number, whence: number): number | undefined => {
    const found: number | bigint = lseek(fd, offsetBytes, whence);
    if (found >= 0) return Number(found);
    return koffi.errno() === koffi.os.errno.ENXIO ? undefined : fail('lseek');
  };
  const allocate = (fd: number, mode: number, offsetBytes: number, lengthBytes: number): boolean => {
    if (fallocate(fd, mode, offsetBytes, lengthBytes) === 0) return true;
    return isUnsupported(koffi.errno()) ? false : fail('fallocate');
  };
  const lock = (fd: number, command: number, flock: Buffer): LockResult => {
    if (fcntl(fd, command, flock) === 0) return 'done';
    const errno = koffi.errno();
    if (errno === koffi.os.errno.EAGAIN || errno === koffi.os.errno.EACCES) return 'conflict';
    return isUnsupported(errno) || errno === koffi.os.errno.ENOLCK ? 'unsupported' : fail('fcntl');
  };

  return {
    isNative: true,
    seekData: (fd, offsetBytes) => seek(fd, offsetBytes, SEEK_DATA),
    seekHole: (fd, offsetBytes) => seek(fd, offsetBytes, SEEK_HOLE) ?? offsetBytes,
    // On a block device the first mode unmaps where that is sure to read zero; the second lets the device write zeros.
    punchHole: (fd, offsetBytes, lengthBytes) =>
      allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offsetBytes, lengthBytes) ||
      allocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offsetBytes, lengthBytes),
    // The only call that can take seconds (it walks the extents of an image), so it runs on a thread of koffi's.
    cloneFile: (fromFd, toFd) =>
      new Promise((resolve, reject) => {
        ioctlNumber.async(toFd, FICLONE, fromFd, (error: unknown, result: number) => {
          const errno = koffi.errno();
          if (error) reject(error);
          else if (result === 0) resolve(true);
          else if (isUnsupported(errno)) resolve(false);
          else reject(systemError('ioctl FICLONE', errno));
        });
      }),
    blockDeviceSize: (fd) => {
      const size = Buffer.alloc(8);
      if (ioctlPointer(fd, BLKGETSIZE64, size) !== 0) fail('ioctl BLKGETSIZE64');
      return Number(size.readBigUInt64LE());
    },
    lockByte: (fd, offsetBytes) => lock(fd, F_OFD_SETLK, encodeLock(F_RDLCK, offsetBytes)),
    testByte: (fd, offsetBytes) => {
      const wanted = encodeLock(F_WRLCK, offsetBytes);
      const result = lock(fd, F_OFD_GETLK, wanted);
      return result === 'done' && wanted.readInt16LE(0) !== F_UNLCK ? 'conflict' : result;
    },
    ...bindFileCalls(koffi, library),
  };
}

type Koffi = typeof import('koffi');

/** What file systems tell of files, and what they do with them as a whole. */
function bindFileCalls(
  koffi: Koffi,
  library: ReturnType<Koffi['load']>,
): Pick<SystemCalls, 'mapExtents' | 'setImmutable' | 'dataDevice' | 'fileSystemId' | 'dropCache'> {
  const ioctl = library.func('ioctl', 'int', ['int', 'unsigned long', 'void *']);
  const fstatfs = library.func('int fstatfs(int fd, void *result)');
  const advise = library.func('int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)');
  const fail = (syscall: string): never => {
    throw systemError(syscall, koffi.errno());
  };
  /** Fills `result` and tells whether the file system knows the request. */
  const inquire = (fd: number, request: number, result: Buffer): boolean => {
    if (ioctl(fd, request, result) === 0) return true;
    return isUnsupported(koffi.errno()) ? false : fail('ioctl');
  };
  return {
    // Writing out what is dirty may take long, so it runs on a thread of koffi's.
    mapExtents: (fd, offsetBytes, lengthBytes) =>
      new Promise((resolve, reject) => {
        const request = encodeMapRequest(offsetBytes, lengthBytes);
        ioctl.async(fd, FS_IOC_FIEMAP, request, (error: unknown, result: number) => {
          const errno = koffi.errno();
          if (error) reject(error);
          else if (result === 0) {
            resolve({ bytes: request.subarray(FIEMAP_HEADER_SIZE_BYTES), count: request.readUInt32LE(20) });
          } else if (isUnsupported(errno)) resolve(undefined);
          else reject(systemError('ioctl FS_IOC_FIEMAP', errno));
        });
      }),
    setImmutable: (fd, isImmutable) => {
      const flags = Buffer.alloc(8);
      if (!inquire(fd, FS_IOC_GETFLAGS, flags)) return false;
      const before = flags.readUInt32LE(0);
      const after = isImmutable ? before | FS_IMMUTABLE_FL : before & ~FS_IMMUTABLE_FL;
      flags.writeUInt32LE(after >>> 0, 0);
      if (ioctl(fd, FS_IOC_SETFLAGS, flags) === 0) return true;
      const errno = koffi.errno();
      return isUnsupported(errno) || isNotPermitted(errno) ? false : fail('ioctl FS_IOC_SETFLAGS');
    },
    dataDevice: (fd) => {
      const attributes = Buffer.alloc(28);
      if (!inquire(fd, FS_IOC_FSGETXATTR, attributes)) return undefined;
      return (attributes.readUInt32LE(0) & FS_XFLAG_REALTIME) === 0 ? 'data' : 'realtime';
    },
    fileSystemId: (fd) => {
      const id = Buffer.alloc(17);
      if (inquire(fd, FS_IOC_GETFSUUID, id)) return `uuid:${id.toString('hex', 1, 1 + id.readUInt8(0))}`;
      const status = Buffer.alloc(120);
      return fstatfs(fd, status) === 0 ? `fsid:${status.toString('hex', 56, 64)}` : fail('fstatfs');
    },
    // Of a large file it takes milliseconds. It is a wish: whether it was granted is not looked at.
    dropCache: (fd) => new Promise((resolve) => advise.async(fd, 0, 0, POSIX_FADV_DONTNEED, () => resolve())),
  };
}

/** struct fiemap: START (64 bits) || LENGTH (64) || FLAGS (32) || MAPPED (32) || ROOM (32) || padding || EXTENTS */
function encodeMapRequest(offsetBytes: number, lengthBytes: number): Buffer {
  // Never of the shared pool: koffi hands its address to another thread.
  const request = Buffer.alloc(FIEMAP_HEADER_SIZE_BYTES + EXTENT_BATCH_COUNT * EXTENT_SIZE_BYTES);
  request.writeBigUInt64LE(BigInt(offsetBytes), 0);
  request.writeBigUInt64LE(BigInt(lengthBytes), 8);
  request.writeUInt32LE(FIEMAP_FLAG_SYNC, 16);
  request.writeUInt32LE(EXTENT_BATCH_COUNT, 24);
  return request;
}

function isNotPermitted(errno: number): boolean {
  return NOT_PERMITTED.includes(getSystemErrorName(-errno));
}

/** struct flock: TYPE (16 bits) || WHENCE (16) || padding (32) || START (64) || LENGTH (64) || PID (32) || padding. */
function encodeLock(type: number, offsetBytes: number): Buffer {
  const flock = Buffer.alloc(32);
  flock.writeInt16LE(type, 0);
  flock.writeBigInt64LE(BigInt(offsetBytes), 8);
  flock.writeBigInt64LE(1n, 16);
  return flock;
}

function isUnsupported(errno: number): boolean {
  return UNSUPPORTED.includes(getSystemErrorName(-errno));
}

function systemError(syscall: string, errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${code}: ${syscall}`), { code, errno: -errno, syscall });
}
