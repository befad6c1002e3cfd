// The entry of the program: checks the version of Node, then hands the words of the command line to their command.
// Everything else is loaded only after the check, so that an old Node gets a message and not a syntax error.
const NODE_MAJOR_MIN = 24;

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  process.stderr.write(
    `openvbs needs Node ${NODE_MAJOR_MIN} or newer; this is ${process.version} (${process.execPath})\n`,
  );
  process.exit(1);
}

const { keepCompiledCode } = await import('./local/compile-cache.ts');
keepCompiledCode();
const { runProgram } = await import('./local/program.ts');
await runProgram(process.argv.slice(2));

export {};
