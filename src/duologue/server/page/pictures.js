// Pictures to show: from a file or from the camera, made small, without what cameras write beside the pixels.

const LONGEST = 768; // pixels of the longer side that are sent
const QUALITY = 0.85; // a photograph takes about 100 kB: sound has to wait behind it on the line

/** A picture as a JPEG data URL. Throws `EncodingError` where the browser cannot read it. */
export async function shrink(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
    return jpeg(image);
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

function jpeg(source) {
  const scale = Math.min(1, LONGEST / Math.max(source.width, source.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(source.width * scale));
  canvas.height = Math.max(1, Math.round(source.height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white"; // under what is transparent, which JPEG would make black
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", QUALITY);
}

/** The camera's dialog, with a <video>. */
export class Camera {
  #stream = null;

  /** `onPicture(data URL)` gets what was taken; the dialog closes by itself. */
  constructor({ dialog, video, take, cancel, onPicture }) {
    this.dialog = dialog;
    this.video = video;
    take.addEventListener("click", async () => {
      const picture = jpeg(await createImageBitmap(video));
      dialog.close();
      onPicture(picture);
    });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => this.#off()); // by Esc, too
  }

  /** Throws what `getUserMedia` throws; `explainCamera()` puts that into words. */
  async open() {
    this.#stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: { ideal: "environment" } } });
    this.video.srcObject = this.#stream;
    await this.video.play();
    this.dialog.showModal();
  }

  #off() {
    for (const track of this.#stream.getTracks()) track.stop();
    this.video.srcObject = this.#stream = null;
  }
}

/** What went wrong at the camera: the key of a text, and what to fill in. */
export function explainCamera(error) {
  switch (error.name) {
    case "NotAllowedError":
      return ["camera denied"];
    case "NotFoundError":
      return ["camera missing"];
    default:
      return ["camera broken", error.name, error.message];
  }
}
