/** What is asked of another process, whose answer comes over a channel, or not at all. Who asks meanwhile shares it. */
export class Question<Answer> {
  #settle: ((answer: Answer) => void) | undefined

  /**
   * @param timeout ms
   * @param tooLate the answer when none came in that time
   */
  ask (timeout: number, tooLate: Answer): Promise<Answer> {
    return new Promise(resolve => {
      const earlier = this.#settle
      const timer = setTimeout(() => this.answer(tooLate), timeout)
      this.#settle = answer => {
        clearTimeout(timer)
        earlier?.(answer)
        resolve(answer)
      }
    })
  }

  answer (answer: Answer): void {
    const settle = this.#settle
    this.#settle = undefined
    settle?.(answer)
  }
}
