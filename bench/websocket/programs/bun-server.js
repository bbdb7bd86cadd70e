// Bun's own publish. Prints its port.
import { publisher } from './publisher.js'

let acknowledge = () => {}
const server = globalThis.Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request, server) => server.upgrade(request) ? undefined : new Response('', { status: 404 }),
  websocket: {
    perMessageDeflate: false,
    open: socket => { socket.subscribe('news') },
    message: () => acknowledge(),
  },
})
acknowledge = publisher({ publish: text => server.publish('news', text) })
console.log(`serving ${server.port}`)
