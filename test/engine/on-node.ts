import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { nodeOf, passesOn, presentNode } from '../on-node.ts'

/** What depends on Node itself: whole files, or the tests of them that tell most. */
const FILES: Readonly<Record<string, RegExp | undefined>> = {
  bus: undefined,
  'bus-failures': undefined,
  'bus-listeners': undefined,
  server: undefined,
  drain: undefined,
  process: undefined,
  'exit-code': undefined,
  sockets: undefined,
  restart: /under load|SIGHUP replaces|unix socket passes/,
  health: /is live and ready|new and idle connections are served/,
  'systemd-notifier': /the progress of the drain|is a reload, after which/,
  'loop-watch': /JavaScript that blocks|native code/,
  'signal-handler': undefined,
  'log-destination': /no service down|uncaught/,
  daemonizer: /exits with 0 and prints|in the body of its main module|sockets or threads|survives the end of the terminal/,
  'pid-file': /second instance|after kill -9|dropped its privileges/,
  'supervisor-balance': undefined,
  'supervisor-failures': /event loop is blocked|when the supervisor is killed, its|somebody ends by a signal/,
  'drop-privileges': /asked from before the bind/,
  'drop-privileges-refusals': /drop that is not complete/,
  'crash-policy': /request that is under way is answered/,
  autoreloader: /by default the process is replaced/,
}

/** Runs what depends on Node itself on another version than the present one. */
export function testOnNode (version: number): void {
  test(`the engine on Node ${version}`, { skip: version === presentNode && 'all tests run on it' }, async t => {
    const node = await nodeOf(version)
    for (const [name, tests] of Object.entries(FILES)) await passesOn(t, node, fileURLToPath(new URL(`${name}.test.ts`, import.meta.url)), tests)
  })
}
