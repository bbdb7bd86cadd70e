/** The flags of `start` as its help shows them, in the order in which an operator meets them. */
export const FLAG_GROUPS: ReadonlyArray<readonly [heading: string, paths: readonly string[]]> = [
  ['Where it listens', ['port', 'host', 'path', 'mode', 'listen', 'socketName']],
  ['Its processes', ['workers', 'import', 'pidFile', 'controlSocket', 'config', 'readyTimeout', 'blockedAfter', 'balance', 'recycle.requests', 'recycle.age', 'recycle.memory']],
  ['Its log', ['log', 'logLevel']],
  ['Started by root', ['user', 'group', 'umask', 'logFiles', 'mustRead', 'secrets', 'askPassphrase']],
  ['In the background', ['daemon', 'daemon.stdin', 'daemon.stdout', 'daemon.stderr', 'daemon.cwd', 'daemon.umask', 'daemon.timeout']],
  ['How it ends and is replaced', ['drain.delay', 'drain.idleWindow', 'drain.restartIdleWindow', 'drain.deadline', 'restartTimeout', 'signals']],
  ['When it fails', ['crash', 'crash.deadline', 'crash.on']],
  ['For development', ['autoreload', 'autoreload.root', 'autoreload.ignore', 'autoreload.files']],
]
