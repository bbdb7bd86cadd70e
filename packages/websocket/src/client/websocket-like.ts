/** The part of the browsers' `WebSocket` that the client uses; those of the packages ws and undici have it too. */
export interface WebSocketLike {
  binaryType: string
  readonly bufferedAmount: number
  send (data: string | ArrayBuffer | Uint8Array<ArrayBuffer>): void
  close (code?: number, reason?: string): void
  addEventListener (type: 'open' | 'error', listener: (event: unknown) => void): void
  addEventListener (type: 'message', listener: (event: { data: string | ArrayBuffer }) => void): void
  addEventListener (type: 'close', listener: (event: { code: number, reason: string }) => void): void
  /** Of ws alone: the answer that refused the handshake. */
  on?: (event: 'unexpected-response', listener: (request: unknown, response: RefusingAnswer) => void) => unknown
}

export interface RefusingAnswer {
  statusCode?: number
  headers: { 'retry-after'?: string }
}

export type WebSocketConstructor = new (url: string | URL, protocols?: string | string[]) => WebSocketLike
