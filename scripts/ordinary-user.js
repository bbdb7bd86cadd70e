// The tests whose meaning changes with the user, for one who is not root, in a copy of the workspace that is theirs.
import { mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, run } from './setup.js'

const NOBODY = 65_534

/** Those that spawn processes which bind, write files that only their owner may, change users or are signalled. */
const FILES = [
  'config-file', 'config-process', 'control-socket', 'daemonizer', 'drop-privileges', 'drop-privileges-refusals', 'exit-code', 'killed-start',
  'log-destination', 'pid-file', 'pid-file-handover', 'plugin-options', 'process', 'signal-handler', 'sockets',
].map(name => `test/engine/${name}.test.ts`)

/** What is no part of a run: history, and what a run before has left. */
const LEFT_OUT = new Set(['.git', '.tap'])

/**
 * Calls a function with the files, and the options with which a process is spawned as that user: the workspace may lie
 * where others cannot look, and tests write into it.
 */
export async function asOrdinaryUser (action) {
  const home = mkdtempSync(join(tmpdir(), 'fastkeep-user-'))
  const cwd = join(home, 'workspace')
  try {
    run('mkdir', [cwd])
    run('cp', ['-a', ...readdirSync(root).filter(name => !LEFT_OUT.has(name)), cwd])
    run('chown', ['-R', `${NOBODY}:${NOBODY}`, home])
    // Without CI a test that needs root is skipped.
    const { CI: _CI, ...env } = process.env
    await action(FILES, { cwd, uid: NOBODY, gid: NOBODY, env: { ...env, HOME: home } })
  } finally {
    run('rm', ['-rf', home])
  }
}
