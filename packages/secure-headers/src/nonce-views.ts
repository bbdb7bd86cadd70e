/** The nonce of a response, as those know it who come from @fastify/helmet. */
export interface CspNonce {
  readonly script: string
  readonly style: string
}
