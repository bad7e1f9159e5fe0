// A page that is opened from a disk may start no worker: the search's script runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inside = frame.contentDocument
      frame.contentWindow.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      this.loaded = new Promise((resolve) => {
        const script = inside.createElement("script")
        script.src = url
        script.onload = () => resolve(frame.contentWindow)
        inside.body.append(script)
      })
    }
    postMessage(data) {
      this.loaded.then((worker) => worker.dispatchEvent(new MessageEvent("message", { data })))
    }
  }
}
