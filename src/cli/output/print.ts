// Text on stdout for the commands that print and end.

/** Resolves when the text has been handed over. A reader that went away, as `head` does, is no error. */
export const print = (text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const { stdout } = process
    // The failure also comes as an event, which would end the process if nobody listened.
    stdout.once('error', () => {})
    stdout.write(text, (error) => {
      if (error && !('code' in error && error.code === 'EPIPE')) reject(error)
      else resolve()
    })
  })

export const printJson = (value: unknown): Promise<void> => print(`${JSON.stringify(value, null, 2)}\n`)
