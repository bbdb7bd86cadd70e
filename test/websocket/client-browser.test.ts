import { readFileSync } from 'node:fs'
import { chromium, type Page } from 'playwright-core'
import { test, type Test } from 'tap'
import type { Client, ClientOptions } from '@fastkeep/websocket/client'
import { needs, pathOf } from '../programs.js'
import { serve, type ServerUnderTest } from './server-under-test.js'

const file = readFileSync(new URL('../../packages/websocket/dist/client/client.js', import.meta.url))
const key = { id: 'one', secret: 'a secret of the first key, 32 bytes at least' }

/** What the page has: the module itself. */
declare const connect: (url: string, options?: ClientOptions) => Client

async function page (t: Test): Promise<{ page: Page, server: ServerUnderTest, complaints: string[] }> {
  const server = await serve(t, {}, app => {
    app.get('/client.js', (_, reply) => reply.type('text/javascript').send(file))
    app.get('/', (_, reply) => reply.type('text/html').send('<script type="module">import * as client from "/client.js"; Object.assign(window, client)</script>'))
    const messages = { say: { handler: (data: unknown) => ({ said: data }) } }
    app.get('/chat', { websocket: { messages, topics: { authorize: () => true } } }, socket => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
    app.get('/signed', { websocket: { messages, signing: { keys: [key] } } }, () => {})
    app.get('/restarts', { websocket: true }, socket => socket.close(1012, 'server restarts; retry-after=0.01'))
    app.get('/ended', { websocket: true }, socket => socket.close(4401, 'session ended'))
  })
  const browser = await chromium.launch({ executablePath: pathOf('chromium') as string, args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'] })
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('pageerror', error => complaints.push(error.message))
  await page.goto(server.origin)
  await page.waitForFunction('window.connect')
  return { page, server, complaints }
}

test('in Chromium: requests, bytes, topics, a lost connection, a restart, an end, signing', { skip: needs('chromium'), timeout: 60_000 }, async t => {
  const { page: browserPage, server, complaints } = await page(t)

  t.same(await browserPage.evaluate(async () => {
    const client = connect('/chat', { minDelay: 1 })
    Object.assign(window, { client, heard: [], opened: [] })
    const { heard, opened } = window as unknown as { heard: unknown[], opened: unknown[] }
    client.on('open', event => opened.push(event))
    client.subscribe('news', message => heard.push(message))
    await new Promise(resolve => client.on('subscribed', resolve))
    const echo = new Promise(resolve => client.on('data', resolve))
    client.sendRaw(Uint8Array.of(1, 2, 3))
    return [await client.request('say', 'hello'), [...new Uint8Array(await echo as ArrayBuffer)]]
  }), [{ said: 'hello' }, [1, 2, 3]])

  server.app.websocket.publish('news', 1)
  await browserPage.waitForFunction('heard.length === 1')
  for (const socket of server.app.websocketServer.clients) socket.terminate()
  t.same(await browserPage.evaluate(async () => {
    const { client } = window as unknown as { client: Client }
    await new Promise(resolve => client.on('subscribed', resolve))
    return await client.request('say', 'again')
  }), { said: 'again' })
  server.app.websocket.publish('news', 2)
  await browserPage.waitForFunction('heard.length === 2')
  t.same(await browserPage.evaluate('[heard, opened]'), [[1, 2], [{ isFirst: true }, { isFirst: false }]])

  t.match(await browserPage.evaluate(async () => {
    const client = connect('/restarts', { minDelay: 1 })
    const closed = await new Promise(resolve => client.on('close', resolve))
    client.close()
    return closed
  }), { code: 1012, retryAfter: 0.01, delay: Number })
  t.match(await browserPage.evaluate(async () => {
    const client = connect('/ended')
    const closed = await new Promise<object>(resolve => client.on('close', resolve))
    return { ...closed, state: client.state }
  }), { code: 4401, reason: 'session ended', delay: undefined, state: 'closed' })

  t.same(await browserPage.evaluate(async key => {
    const client = connect(location.origin + '/signed', { signing: { keys: [key] } })
    const answer = await client.request('say', 'signed')
    client.close()
    return answer
  }, key), { said: 'signed' })
  t.same(complaints, [])
})
