{
    "name": "OCR for vendor bills",
    "summary": "Reads scanned bills through the OCR gateway",
    "version": "18.0.2.0.3",
    "category": "Accounting",
    "license": "LGPL-3",
    "depends": ["account", "seisei_base"],
}
