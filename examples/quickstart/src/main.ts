// The quickstart: log in, chat over wss, look at your own connection. Read it from top to bottom.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import formbody from '@fastify/formbody'
import engine, { runToExit } from '@fastkeep/engine'
import secureHeaders from '@fastkeep/secure-headers'
import secureSession, { generateKey } from '@fastkeep/secure-session'
import tlsContext, { createServerContext, developmentCertificate } from '@fastkeep/tls-context'
import websocket from '@fastkeep/websocket'
import Fastify, { type FastifyReply } from 'fastify'

declare module '@fastkeep/secure-session' {
  interface SessionData { user: string }
}

// 1. A certificate for localhost and a key for the sessions. Both are made once, for you alone, and kept outside git.
const { cert, key, ca } = await developmentCertificate({ directory: fileURLToPath(new URL('../local', import.meta.url)) })
const keyFile = ca.replace('ca.pem', 'session.key')
if (!existsSync(keyFile)) writeFileSync(keyFile, generateKey(), { mode: 0o600, flag: 'wx' })

// 2. The plugins. The engine comes first: it starts, drains and stops all that follows.
const context = createServerContext({ cert, key })
const app = Fastify({ https: context.options, logger: { level: 'warn' } })
await app.register(engine, { host: 'localhost', port: Number(process.env.PORT ?? 8443), drain: { idleWindow: 500 } })
await app.register(secureHeaders)
await app.register(secureSession, { keyFile })
await app.register(tlsContext, { context })
await app.register(websocket)
await app.register(formbody)

// 3. Logging in and out. A new session id at log-in, so that nobody can plant one beforehand.
app.get('/', (request, reply) => request.session.user === undefined
  ? page(reply, 'Log in', html`
      <form method="post" action="/login">
        <label>Your name <input name="user" required maxlength="30" pattern=".*\\S.*" autocomplete="username" autofocus></label>
        <button>Log in</button>
      </form>`)
  : reply.redirect('/chat', 303))

app.post<{ Body: { user: string } }>('/login', {
  schema: { body: { type: 'object', required: ['user'], properties: { user: { type: 'string', pattern: '\\S', maxLength: 30 } } } },
}, (request, reply) => {
  request.session.login(request.body.user.trim())
  request.session.user = request.body.user.trim()
  return reply.redirect('/chat', 303)
})

// The sockets that were opened with the session are closed with it.
app.post('/logout', (request, reply) => {
  request.session.destroy()
  return reply.redirect('/', 303)
})

// 4. The chat: a page, the client that it uses, and a WebSocket route that takes only this origin's pages, and only those
// who have logged in. What they may send and what they may listen to is said here, and nothing else reaches a handler.
app.get('/chat', (request, reply) => request.session.user === undefined
  ? reply.redirect('/', 303)
  : page(reply, 'Chat', html`
      <p>You are <b>${request.session.user}</b>. Here now: <b id="people">nobody</b></p>
      <ol id="messages" aria-live="polite"></ol>
      <form id="say"><input name="text" required maxlength="500" autocomplete="off" aria-label="Message" autofocus><button>Send</button></form>`, `
      import { connect } from '/client.js'
      const [people, messages, say] = ['people', 'messages', 'say'].map(id => document.getElementById(id))
      const client = connect('/socket')
      say.onsubmit = event => { event.preventDefault(); client.send('chat.say', { text: say.text.value }); say.reset() }
      client.on('subscribed', () => client.send('chat.here'))
      client.on('close', ({ delay }) => { people.textContent = delay === undefined ? 'logged out' : 'connection lost, trying again' })
      client.subscribe('chat', ({ here, from, text }) => {
        if (here) { people.textContent = here.join(', '); return }
        const item = messages.appendChild(document.createElement('li'))
        item.append(Object.assign(document.createElement('b'), { textContent: from }), ' ' + text)
        item.scrollIntoView()
      })`))

const client = readFileSync(fileURLToPath(import.meta.resolve('@fastkeep/websocket/client')))
app.get('/client.js', (_request, reply) => reply.type('text/javascript; charset=utf-8').send(client))

app.get('/socket', {
  websocket: {
    authenticate: ({ session }) => session.user,
    topics: { authorize: (_socket, topic) => topic === 'chat' },
    messages: {
      'chat.here': { handler: tellWhoIsHere },
      'chat.say': {
        schema: { type: 'object', required: ['text'], properties: { text: { type: 'string', maxLength: 500 } } },
        handler: ({ text }: { text: string }, { peer }) => { app.websocket.publish('chat', { from: peer, text }) },
      },
    },
  },
}, socket => { socket.on('close', tellWhoIsHere) })

function tellWhoIsHere (): void {
  app.websocket.publish('chat', { here: [...new Set([...app.websocket.subscribers('chat')].map(({ peer }) => peer))] })
}

// 5. What your own connection looks like: the TLS facts as the server sees them, the headers as your browser got them.
app.get('/connection', (request, reply) => page(reply, 'Your connection', html`
  <h2>TLS</h2><table>${Object.entries(request.tls ?? {}).map(([name, value]) => html`<tr><th>${name}<td>${String(value ?? 'not told')}`)}</table>
  <h2>Response headers</h2><table id="headers"></table>`, `
  const { headers } = await fetch(location, { method: 'HEAD' })
  for (const pair of headers) document.getElementById('headers').insertRow().append(...pair.map(text => Object.assign(document.createElement('td'), { textContent: text })))`))

// 6. One layout for all pages. Script and style carry the nonce of this response; nothing else on the page may run.
function page (reply: FastifyReply, title: string, body: Markup, script = ''): FastifyReply {
  const nonce = reply.cspNonce
  return reply.type('text/html; charset=utf-8').send(String(html`<!doctype html><html lang="en"><meta charset="utf-8"><title>${title} · Fastkeep</title>
    <meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><style nonce="${nonce}">
      :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; accent-color: teal }
      body { max-width: 44rem; margin: 0 auto; padding: 1rem } nav, form { display: flex; gap: 1rem; align-items: center; flex-wrap: wrap }
      nav form { margin-left: auto } input { flex: 1 } input, button { font: inherit; padding: .4rem .7rem } ol { list-style: none; padding: 0; min-height: 40vh }
      table { border-collapse: collapse } th, td:first-child { white-space: nowrap } td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884; overflow-wrap: anywhere }
    </style><nav><a href="/chat">Chat</a> <a href="/connection">Your connection</a>${reply.request.session.user === undefined ? '' : LOG_OUT}</nav>
    <h1>${title}</h1>${body}<script type="module" nonce="${nonce}">${new Markup(script)}</script></html>`))
}

class Markup extends String {}
const LOG_OUT = html`<form method="post" action="/logout"><button>Log out</button></form>`

/** Escapes every value but markup. */
function html (parts: TemplateStringsArray, ...values: Array<string | Markup | Markup[]>): Markup {
  const safe = values.map(value => [value].flat().map(one => one instanceof Markup ? String(one) : one.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)).join(''))
  return new Markup(String.raw({ raw: parts }, ...safe))
}

// 7. Run until SIGTERM or Ctrl-C, and end with an exit code that tells the truth.
app.engine.subscribe('ready', () => console.log(`
  Open   ${app.engine.server.urls[0]?.replace('127.0.0.1', 'localhost')}
  Trust  ${ca}   (until then your browser warns)
  Stop   Ctrl-C
`))
await runToExit(app.engine)
