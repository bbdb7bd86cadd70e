import { test } from 'tap'
import { nodeOf } from '../on-node.ts'
import { Child, plainEnvironment } from '../child.js'
import { fileURLToPath } from 'node:url'
import { serve } from './server-under-test.js'

const fixture = fileURLToPath(new URL('fixtures/client.js', import.meta.url))

test('on Node 22, 24 and 26 the client needs nothing but Node, and ends with its socket', { timeout: 170_000 }, async t => {
  const keys = [{ id: 'one', secret: 'a secret of the first key, 32 bytes at least' }]
  const server = await serve(t, { authenticate: () => 'ada' }, app => {
    const publish = { handler: (data: unknown) => app.websocket.publish('news', { data }) }
    app.get('/', { websocket: { messages: { publish }, topics: { authorize: () => true }, signing: { keys } } }, () => {})
  })
  for (const version of [22, 24, 26]) {
    const child = new Child(t, await nodeOf(version), [fixture], { env: { ...plainEnvironment(), ADDRESS: `ws://${server.host}/` } })
    t.same(await child.ended, { code: 0, signal: null }, `Node ${version}`)
    t.equal(child.output, '[1,{"data":"hello"}]\n')
  }
})

test('on Node 20 it says what to do', async t => {
  const child = new Child(t, await nodeOf(20), [fixture], { env: { ...plainEnvironment(), ADDRESS: 'ws://127.0.0.1:1/' } })
  await child.ended
  t.match(child.output, /no global WebSocket: pass one[^]*FST_KEEP_WEBSOCKET_CLIENT_UNSUPPORTED/)
})
