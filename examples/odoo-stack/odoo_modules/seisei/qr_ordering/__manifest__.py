{
    "name": "QR ordering",
    "summary": "Guests order from their table by a printed QR code",
    "version": "18.0.1.2.0",
    "category": "Sales/Point of Sale",
    "license": "LGPL-3",
    "depends": ["point_of_sale", "seisei_base"],
    "data": ["security/ir.model.access.csv"],
    "assets": {"web.assets_frontend": ["qr_ordering/static/src/ordering.js"]},
}
