import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { nodeOf, passesOn, presentNode } from '../on-node.ts'

const FILES = ['bus', 'server', 'process', 'sockets', 'restart', 'health', 'systemd-notifier', 'loop-watch'].map(name => fileURLToPath(new URL(`${name}.test.ts`, import.meta.url)))

/** Runs what depends on Node itself on another version than the present one. */
export function testOnNode (version: number): void {
  test(`the bus, processes, the server, its sockets, restarts and systemd on Node ${version}`, { skip: version === presentNode && 'all tests run on it' }, async t => {
    const node = await nodeOf(version)
    for (const file of FILES) await passesOn(t, node, file)
  })
}
