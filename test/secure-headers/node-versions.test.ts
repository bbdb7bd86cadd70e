import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { nodeOf, passesOn, presentNode } from '../on-node.ts'

/** What depends on Node itself: its responses over each protocol, and the faults of clients. */
const FILES = ['default-policy', 'protocols', 'factory-options'].map(name => fileURLToPath(new URL(`${name}.test.ts`, import.meta.url)))

for (const version of [20, 22, 24, 26]) {
  test(`the headers over HTTP, HTTPS and HTTP/2, also outside the router, on Node ${version}`, { skip: version === presentNode && 'all tests run on it', timeout: 300_000 }, async t => {
    const node = await nodeOf(version)
    for (const file of FILES) await passesOn(t, node, file)
  })
}
