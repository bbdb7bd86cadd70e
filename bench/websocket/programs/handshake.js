// Clients that are as cheap as can be: what is measured is the server.
import { connect } from 'node:net'

/** Frames of clients, with a mask of zeros. */
export const frame = (opcode, payload = '') => {
  const bytes = Buffer.from(payload)
  const head = bytes.length < 126 ? [0x80 | opcode, 0x80 | bytes.length] : [0x80 | opcode, 0xfe, bytes.length >> 8, bytes.length & 0xff]
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), bytes])
}

/**
 * Resolves to a socket whose handshake is done.
 *
 * @param onData gets each chunk; it may be overwritten afterwards
 */
export function open (port, path, onData = () => {}) {
  return new Promise((resolve, reject) => {
    let isOpen = false
    const socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer,
        callback: (length, chunk) => {
          const data = chunk.subarray(0, length)
          if (isOpen) {
            onData(data, socket)
            return
          }
          if (!data.includes('\r\n\r\n')) return
          if (!data.toString('latin1', 0, 12).startsWith('HTTP/1.1 101')) return reject(new Error(data.toString('latin1')))
          isOpen = true
          const rest = data.subarray(data.indexOf('\r\n\r\n') + 4)
          if (rest.length > 0) onData(rest, socket)
          resolve(socket)
        },
      },
    })
    socket.on('error', reject)
    socket.write([
      `GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', `Origin: http://127.0.0.1:${port}`, 'Authorization: ada', '', '',
    ].join('\r\n'))
  })
}

/** Of all sockets: each reads into it and looks at it at once. */
const buffer = Buffer.allocUnsafe(256 * 1024)

export async function openMany (count, port, path, onData) {
  const sockets = []
  while (sockets.length < count) sockets.push(...await Promise.all(Array.from({ length: Math.min(50, count - sockets.length) }, () => open(port, path, onData))))
  return sockets
}
